//! The scorer `random`.

use bitkv_stats::Rng;

use crate::{Head, Scorer};

method! {
    /// Keeps tokens drawn at random, independently in each head. Any method must beat it.
    pub struct Random {
        /// The seed of the random numbers.
        pub seed: u64 = 0,
    }
    "random" from "control of this suite",
    "Keeps tokens drawn at random.", role: Control,
    formula: "A random number that depends on `seed`, the head and `j`."
}

impl Scorer for Random {
    fn incomparable(&self) -> Option<&'static str> {
        Some("random scores say nothing about heads")
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        // The seed is mixed twice, so that the streams of neighbouring seeds and heads do not overlap.
        let seed = Rng::new(self.seed).next_u64() ^ head.index as u64;
        let mut rng = Rng::new(Rng::new(seed).next_u64());
        // A token keeps its score when more of the cache is evicted.
        let drawn: Vec<f32> = (0..head.tokens_seen()).map(|_| rng.unit() as f32).collect();
        out.iter_mut().zip(head.positions().iter()).for_each(|(s, &p)| *s = drawn[p as usize]);
    }
}
