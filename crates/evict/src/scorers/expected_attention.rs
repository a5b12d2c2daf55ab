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
        /// Over how many positions to come the rotation is averaged.
        pub future: usize = 512 => checks::within(1.., "there must be a position to come"),
        /// How many first positions are no part of the moments nor of the softmax; they are kept first.
        pub skip: usize = 4,
        /// Whether the covariance of the queries is used in addition to their mean.
        pub covariance: bool = true,
        /// Whether expected attention is multiplied by the length of the value.
        pub value_norm: bool = true,
        /// What is added to expected attention before it is.
        pub epsilon: f64 = 0.0 => checks::part,
    }
    needs(self) Needs::from([Need::Keys, Need::QueryMoments(self.skip)])
        .with(self.value_norm.then_some(Need::Values));
    "expected-attention" from "Devoto et al. 2025 (Expected Attention), arXiv:2510.00636",
    "what queries to come are expected to attend to, by their moments so far",
    formula: "(softmax of `mu.k/sqrt(d) + k.Sigma.k/2d` + `epsilon`) x `||v_j||_2`, moments rotated to \
         the mean over `future` positions",
    differences: "the moments are those of this text's queries"
}

impl Scorer for ExpectedAttention {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let dim = head.head_dim();
        let theta = head.observation().rope_theta.unwrap_or_default();
        let rotation = MeanRotation::over(head.tokens_seen(), self.future, dim, theta);
        let first = head.positions().iter().take_while(|&&p| (p as usize) < self.skip).count();
        let keys = &head.keys()[first * dim..];
        let expected = |moments: &&[f32]| -> Vec<f32> {
            let queries = QueryMoments::rotated(moments, dim, &rotation, self.covariance);
            formulas::expected_attention(&queries, keys).into_iter().map(|p| p as f32).collect()
        };
        let rows: Vec<Vec<f32>> = head.group(Need::QueryMoments(self.skip)).iter().map(expected).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        out[..first].fill(f32::MAX);
        out[first..].copy_from_slice(&head.pool.over(&rows));
        if self.value_norm {
            let lengths = row_norms(&head.values()[first * dim..], dim);
            out[first..].iter_mut().zip(lengths).for_each(|(s, v)| *s = (*s + self.epsilon as f32) * v);
        }
    }
}
