//! The scorer `key-norm`.

use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens with short keys: in trained models, a short key tends to attract attention.
    pub struct KeyNorm {}
    needs(self) [Need::Keys];
    "key-norm" from "Devoto et al. 2024, arXiv:2406.11430",
    "Keeps the tokens with the shortest keys.",
    formula: "Minus the length of the key, `-||k_j||_2`.",
    differences: "The paper uses it with `uniform{whole-layers=2}`."
}

impl Scorer for KeyNorm {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        for (s, key) in out.iter_mut().zip(head.keys().chunks_exact(head.head_dim())) {
            // In f64 the squares of large keys do not overflow.
            let squares: f64 = key.iter().map(|&x| f64::from(x).powi(2)).sum();
            *s = -squares.sqrt() as f32;
        }
    }
}
