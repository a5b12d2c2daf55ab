//! The operations between the matrix products of a forward pass: norms ([`Norm`]), the gate of the MLP
//! ([`gate()`]), rotary positions ([`rotate()`]), residuals ([`add`]) and a check of magnitudes
//! ([`first_beyond`]).
//!
//! Each operation is one loop, which is compiled for every vector width and has a fixed order of summation.
//! So all widths and any number of threads give the same bits. The fused forms, which quantise their result
//! at once, give the same bits as an f32 result that is quantised afterwards.

mod gate;
mod limit;
mod norm;
mod rotate;

use rayon::prelude::*;

pub use crate::activation::Gate;
pub use gate::gate;
pub use limit::first_beyond;
pub use norm::Norm;
pub use rotate::rotate;

use crate::simd::dispatch;

/// Number of values in a task.
const TASK: usize = 1 << 15;

/// Returns the number of rows of `width` values in a task.
fn task_rows(width: usize) -> usize {
    (TASK / width).max(1)
}

/// Adds `x` to `h`, value by value.
///
/// # Panics
/// Panics if the lengths differ.
pub fn add(h: &mut [f32], x: &[f32]) {
    assert_eq!(h.len(), x.len(), "both are [tokens, width]");
    h.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(h, x)| add_some(h, x));
}

dispatch! {
fn add_some(h: &mut [f32], x: &[f32]) {
    for (h, x) in h.iter_mut().zip(x) {
        *h += x;
    }
}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inference::ternary::Quantized;

    fn rows(tokens: usize, width: usize) -> impl Strategy<Value = Vec<f32>> {
        let value = prop_oneof![8 => -4f32..4.0, 1 => Just(0.0f32), 1 => -1e12f32..1e12];
        prop::collection::vec(value, tokens * width)
    }

    fn case() -> impl Strategy<Value = (usize, Vec<f32>, Vec<f32>, Vec<f32>)> {
        (1usize..20, 1usize..200).prop_flat_map(|(tokens, width)| {
            (Just(width), rows(tokens, width), rows(tokens, width), prop::collection::vec(-2f32..2.0, width))
        })
    }

    fn quantised_equally(a: &Quantized, b: &Quantized) -> bool {
        a.scales() == b.scales() && (0..a.tokens()).all(|token| a.values(token) == b.values(token))
    }

    fn silu(g: f32) -> f64 {
        f64::from(g) / (1.0 + f64::from(-g).exp())
    }

    proptest! {
        #[test]
        fn a_norm_matches_its_definition((width, x, _, weight) in case()) {
            let mut y = vec![0.0; x.len()];
            Norm { weight: &weight, eps: 1e-5 }.apply(&x, &mut y);
            for (y, x) in y.chunks(width).zip(x.chunks(width)) {
                let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                for ((y, x), w) in y.iter().zip(x).zip(&weight) {
                    let exact = f64::from(*w) * f64::from(*x) / (mean + 1e-5).sqrt();
                    prop_assert!((f64::from(*y) - exact).abs() <= 4e-7 * exact.abs() + 1e-37, "{y} {exact}");
                }
            }
        }

        #[test]
        fn a_fused_norm_gives_the_same_bits((width, x, _, weight) in case()) {
            let norm = Norm { weight: &weight, eps: 1e-5 };
            let (mut y, mut fused) = (vec![0.0; x.len()], Quantized::default());
            norm.apply(&x, &mut y);
            norm.quantise(&x, &mut fused);
            prop_assert!(quantised_equally(&fused, &Quantized::new(&y, width)));
        }

        #[test]
        fn a_gate_matches_its_definition_and_its_fused_form((width, g, up, weight) in case(), normed: bool) {
            let norm = Norm { weight: &weight, eps: 1e-5 };
            for activation in [Gate::ReluSquared, Gate::Silu] {
                let mut gated = g.clone();
                gate(activation, &mut gated, &up);
                for ((y, g), u) in gated.iter().zip(&g).zip(&up) {
                    let exact = match activation {
                        Gate::ReluSquared => f64::from(g.max(0.0)).powi(2),
                        Gate::Silu => silu(*g),
                    } * f64::from(*u);
                    // The exponential saturates at 2^126, so a sigmoid is never below 2^-126.
                    let floor = 2e-38 * (f64::from(*g) * f64::from(*u)).abs() + 1e-37;
                    prop_assert!((f64::from(*y) - exact).abs() <= 1e-6 * exact.abs() + floor, "{y} {exact}");
                }
                let mut fused = Quantized::default();
                fused.fill_gated(activation, &mut g.clone(), &up, width, normed.then_some(norm));
                let mut y = gated.clone();
                if normed {
                    norm.apply(&gated, &mut y);
                }
                prop_assert!(quantised_equally(&fused, &Quantized::new(&y, width)));
            }
        }

        #[test]
        fn rotations_match_their_definition(half in 1usize..70, heads in 1usize..4, angle in -3f32..3.0) {
            let x: Vec<f32> = (0..2 * half * heads).map(|i| (i as f32).sin()).collect();
            let (cos, sin): (Vec<f32>, Vec<f32>) =
                (0..half).map(|j| ((angle * j as f32).cos(), (angle * j as f32).sin())).unzip();
            let mut turned = x.clone();
            rotate(&mut turned, &cos, &sin);
            for (i, y) in turned.iter().enumerate() {
                let (head, j) = (i / (2 * half), i % half);
                let (a, b) = (x[head * 2 * half + j], x[head * 2 * half + half + j]);
                let is_low = i % (2 * half) < half;
                let exact = if is_low { a * cos[j] - b * sin[j] } else { b * cos[j] + a * sin[j] };
                prop_assert_eq!(*y, exact);
            }
        }
    }

    #[test]
    fn residuals_are_added_across_tasks() {
        let x: Vec<f32> = (0..3 * TASK + 7).map(|i| i as f32).collect();
        let mut h = x.clone();
        add(&mut h, &x);
        assert!(h.iter().zip(&x).all(|(h, x)| *h == 2.0 * x));
    }
}
