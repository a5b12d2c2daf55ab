use proptest::prelude::*;

use super::*;

fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn naive(x: &[f32], w: &[f32], rows: usize, k: usize, n: usize) -> Vec<f64> {
    let at = |v: f32| f32::from_bits((round(v) as u32) << 16) as f64;
    let cell = |i: usize| (0..k).map(|j| at(x[i / n * k + j]) * at(w[i % n * k + j])).sum();
    (0..rows * n).map(cell).collect()
}

/// f32 summation of at most 160 products of values below 1 in another order.
const TOLERANCE: f64 = 1e-4;

#[test]
fn engines_agree_with_plain_loops() {
    let (x, w) = (values(1, 32 * 160), values(2, 32 * 160));
    let expected = naive(&x, &w, 32, 160, 32);
    let (mut a, mut b) = (vec![0; 5 * BLOCK], vec![0; 5 * BLOCK]);
    for j in 0..5 {
        pack_a(&mut a[j * BLOCK..], &x[j * SIDE..], 160);
        pack_b_transposed(&mut b[j * BLOCK..], &w[j * SIDE..], 160);
    }
    for engine in Engine::available() {
        let mut c = vec![1.0; 32 * 40];
        multiply_with(engine, &mut c, 40, Blocks::dense(&a), Blocks::dense(&b), 5, true);
        for (i, e) in expected.iter().enumerate() {
            let got = c[i / 32 * 40 + i % 32] as f64 - 1.0;
            assert!((got - e).abs() < TOLERANCE, "{engine:?} [{i}]: {got} for {e}");
        }
        assert!(
            c.chunks(40).all(|row| row[32..].iter().all(|&v| v == 1.0)),
            "{engine:?} wrote past its block"
        );
    }
}

#[test]
fn amx_is_exercised_or_reported() {
    if !Isa::available().contains(&Isa::Amx) {
        eprintln!("skipped: this machine has no AMX, so only the other engines were compared");
    }
    assert_eq!(Isa::available().contains(&Isa::Amx), Engine::available().contains(&Engine::Amx));
}

proptest! {
    #[test]
    fn products_match_in_every_orientation(seed: u64, rows in 1usize..4, k in 1usize..4, n in 1usize..4) {
        let (rows, k, n) = (rows * SIDE, k * SIDE, n * SIDE);
        let (x, w) = (values(seed, rows * k), values(!seed, n * k));
        let expected = naive(&x, &w, rows, k, n);
        let close = |got: &[f32]| got.iter().zip(&expected).all(|(g, e)| (*g as f64 - e).abs() < TOLERANCE);
        prop_assert!(close(&gemm_rows(&x, k, &pack_b_transposed_all(&w, n, k), n, None, None)));

        let transposed: Vec<f32> = (0..k * n).map(|i| w[i % n * k + i / n]).collect();
        prop_assert!(close(&gemm_rows(&x, k, &pack_b_all(&transposed, k, n), n, None, None)));

        let columns: Vec<f32> = (0..k * rows).map(|i| x[i % rows * k + i / rows]).collect();
        let mut c = vec![0.0; rows * n];
        gemm_weight_gradient(&mut c, &columns, rows, None, &pack_b_all(&transposed, k, n), n, false);
        prop_assert!(close(&c));
    }

    #[test]
    fn scales_multiply_rows_and_columns(seed: u64) {
        let (x, w, rows, columns) = (values(seed, 32 * 32), values(!seed, 32 * 32), values(seed ^ 7, 32), values(seed ^ 9, 32));
        let b = pack_b_transposed_all(&w, 32, 32);
        let plain = gemm_rows(&x, 32, &b, 32, None, None);
        let scaled = gemm_rows(&x, 32, &b, 32, Some(&rows), Some(&columns));
        for (i, (p, s)) in plain.iter().zip(&scaled).enumerate() {
            prop_assert_eq!(*s, p * (rows[i / 32] * columns[i % 32]));
        }
    }

    #[test]
    fn rounding_is_to_nearest_even(bits: u32) {
        let x = f32::from_bits(bits);
        prop_assume!(x.is_finite());
        prop_assert_eq!(round(x), half::bf16::from_f32(x).to_bits());
    }
}
