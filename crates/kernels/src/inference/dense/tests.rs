use proptest::prelude::*;

use super::*;

fn sets() -> impl Iterator<Item = Isa> {
    Isa::available().iter().copied()
}

/// Uniform in [-0.5, 0.5].
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

proptest! {
    #[test]
    fn matches_f64(tokens in 1usize..40, rows in 1usize..150, cols in 1usize..100, seed: u32) {
        let (x, w) = (numbers(seed, tokens * cols), numbers(!seed, rows * cols));
        let (w16, wb): (Vec<f16>, Vec<bf16>) = w.iter().map(|&v| (f16::from_f32(v), bf16::from_f32(v))).unzip();
        let w_of = |k: usize, i: usize| [w[i], w16[i].to_f32(), wb[i].to_f32()][k];
        for isa in sets() {
            for (k, weights) in [Dense::F32(&w), Dense::F16(&w16), Dense::Bf16(&wb)].into_iter().enumerate() {
                let got = matmul_with(isa, &x, cols, weights);
                for (i, got) in got.iter().enumerate() {
                    let (t, r) = (i / rows, i % rows);
                    let exact: f64 = (0..cols)
                        .map(|c| f64::from(x[t * cols + c]) * f64::from(w_of(k, r * cols + c)))
                        .sum();
                    prop_assert!((f64::from(*got) - exact).abs() < 1e-5, "{isa} {k} {i}: {got} {exact}");
                }
                for some in [1, 2, 3, 5] {
                    let some = some.min(tokens);
                    let alone = matmul_with(isa, &x[..some * cols], cols, weights);
                    prop_assert_eq!(&alone[..], &got[..some * rows], "{} tokens of {}", some, tokens);
                }
            }
        }
    }
}

/// Largest error over `x`'s tokens and bf16 rows, as a part of the norms' product.
fn largest_error(isa: Isa, x: &[f32], w: &[bf16], cols: usize) -> f64 {
    let (got, rows) = (matmul_with(isa, x, cols, Dense::Bf16(w)), w.len() / cols);
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    let error = |(i, got): (usize, &f32)| {
        let (x, w) = (&x[i / rows * cols..][..cols], &w[i % rows * cols..][..cols]);
        let pairs = || x.iter().zip(w).map(|(x, w)| (f64::from(*x), f64::from(w.to_f32())));
        let exact: f64 = pairs().map(|(x, w)| x * w).sum();
        let norms = norm(&mut pairs().map(|p| p.0)) * norm(&mut pairs().map(|p| p.1));
        (f64::from(*got) - exact).abs() / norms
    };
    got.iter().enumerate().map(error).fold(0.0, f64::max)
}

#[test]
fn every_set_is_as_exact_as_f32_sums_are() {
    const COLS: usize = 2560;
    let w: Vec<bf16> = numbers(5, 128 * COLS).into_iter().map(bf16::from_f32).collect();
    // Activations behind a norm have outliers.
    let mut x = numbers(7, 16 * COLS);
    x.iter_mut().step_by(97).for_each(|x| *x *= 40.0);
    for isa in sets() {
        let error = largest_error(isa, &x, &w, COLS);
        assert!(error < 0.5 * f64::from(f32::EPSILON), "{isa}: {error:.2e}");
        assert!(error > 1e-10, "{isa}: nothing was rounded?");
    }
}
