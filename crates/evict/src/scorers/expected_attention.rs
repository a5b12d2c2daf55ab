//! The scorer `expected-attention`.

use crate::{
    Head, Need, Needs, Scorer, checks,
    formulas::{self, MeanRotation, QueryMoments, row_norms},
};

method! {
    /// Keeps the tokens that future queries are expected to attend to, times the length of their values.
    /// Future queries are taken to be normally distributed with the moments of the queries so far.
    #[serde(rename_all = "kebab-case")]
    pub struct ExpectedAttention {
        /// The number of future positions over which the rotation is averaged.
        pub future: usize = 512 =>
            checks::within(1..=checks::MOST_FUTURE, "write 1 to 65536 future positions, because each takes time"),
        /// The number of first positions that are left out of the moments and of the softmax; they are kept
        /// first.
        pub skip: usize = 4,
        /// Whether the covariance of the queries is used in addition to their mean.
        pub covariance: bool = true,
        /// Whether expected attention is multiplied by the length of the value.
        pub value_norm: bool = true,
        /// The number added to expected attention before it is multiplied.
        pub epsilon: f64 = 0.0 => checks::fraction,
    }
    needs(self) Needs::from([Need::Keys, Need::QueryMoments(self.skip)])
        .with(self.value_norm.then_some(Need::Values));
    "expected-attention" from "Devoto et al. 2025 (Expected Attention), arXiv:2510.00636",
    "Keeps the tokens that future queries should attend to, by the moments of past queries.",
    formula: "(softmax of `mu.k/sqrt(d) + k.Sigma.k/2d` + `epsilon`) x `||v_j||_2`. The moments `mu` and \
         `Sigma` are rotated to the mean over `future` positions.",
    differences: "The moments are those of the queries of this text."
}

impl Scorer for ExpectedAttention {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let dim = head.head_dim();
        let seen = head.observation();
        let theta = seen.rope_theta.unwrap_or_default();
        let rotation = MeanRotation::new(head.tokens_seen(), self.future, dim, theta, &seen.rope_factors);
        let first = head.positions().iter().take_while(|&&p| (p as usize) < self.skip).count();
        let keys = &head.keys()[first * dim..];
        let expected = |moments: &&[f32]| -> Vec<f32> {
            let queries = QueryMoments::rotated(moments, dim, &rotation, self.covariance);
            formulas::expected_attention(&queries, keys).into_iter().map(|p| p as f32).collect()
        };
        let rows: Vec<Vec<f32>> = head.group(Need::QueryMoments(self.skip)).iter().map(expected).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        out[..first].fill(f32::MAX);
        out[first..].copy_from_slice(&head.pool.pool(&rows));
        if self.value_norm {
            let lengths = row_norms(&head.values()[first * dim..], dim);
            out[first..].iter_mut().zip(lengths).for_each(|(s, v)| *s = (*s + self.epsilon as f32) * v);
        }
    }
}
