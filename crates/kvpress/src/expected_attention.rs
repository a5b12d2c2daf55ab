//! `ExpectedAttentionPress` of kvpress.

use std::rc::Rc;

use bitkv_evict::{
    Need, Options, Reason, Shape,
    formulas::{self, MeanRotation, QueryMoments},
    method,
};

use crate::{
    checks,
    layer::Layer,
    press::{self, ScorerPress},
    score_cache::Scores,
};

method! {
    /// `ExpectedAttentionPress` of kvpress: scores a token by the attention that future queries are expected
    /// to pay to it, times the norm of its value. Future queries are assumed to be distributed like the
    /// queries so far.
    pub(crate) struct ExpectedAttention {
        #[serde(flatten)]
        future: Future = Future::default() => Options::check,
        /// Whether to multiply by the norm of the value.
        use_vnorm: bool = true,
        /// The number that is added to the expected attention before it is multiplied.
        epsilon: f64 = 0.0 => checks::not_negative,
    }
    needs(self) self.future.needs().with(self.use_vnorm.then_some(Need::Values));
    "kvpress:expected_attention" from "kvpress ExpectedAttentionPress; Devoto et al. 2025, arXiv:2510.00636",
    "Keeps the tokens that future queries should attend to, weighted by the length of the value."
}

method! {
    /// Scores a token by its expected attention alone, without the norm of the value.
    /// [`CriticalKv`](crate::critical::CriticalKv) uses it.
    pub(crate) struct Future {
        /// The number of future positions over which the rotation of the queries is averaged.
        n_future_positions: usize = 512 => checks::within(1..=checks::MOST_FUTURE,
            "a mean over no positions does not exist, and each position takes time: use 1 to 65536"),
        /// The number of first tokens that are kept, and whose queries are left out of the moments.
        n_sink: usize = 4,
        /// Whether the covariance of the queries is used in addition to their mean.
        use_covariance: bool = true,
    }
    needs(self) [Need::Keys, Need::QueryMoments(self.n_sink)];
}

impl ExpectedAttention {
    pub(crate) fn with_epsilon(epsilon: f64) -> ExpectedAttention {
        ExpectedAttention { epsilon, ..ExpectedAttention::default() }
    }
}

impl ScorerPress for ExpectedAttention {
    fn refuse(&self, shape: Shape) -> Result<(), Reason> {
        ScorerPress::refuse(&self.future, shape)
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let mut scores = self.future.expected(layer).to_vec();
        if self.use_vnorm {
            for (head, scores) in scores.iter_mut().enumerate() {
                let norms = formulas::row_norms(layer.row(Need::Values, head), layer.head_dim);
                let after_sinks = &norms[self.future.n_sink..];
                let weighted = |(s, norm): (&mut f32, &f32)| *s = (*s + self.epsilon as f32) * norm;
                scores.iter_mut().zip(after_sinks).for_each(weighted);
            }
        }
        self.future.with_sinks(scores)
    }
}

impl ScorerPress for Future {
    fn refuse(&self, shape: Shape) -> Result<(), Reason> {
        if !shape.head_dim.is_multiple_of(2) {
            let reason = format!("rotary embedding pairs channels, and head_dim is {}", shape.head_dim);
            return Err(reason.into());
        }
        checks::more_tokens_than("n_sink", self.n_sink, shape)
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        self.with_sinks(self.expected(layer).to_vec())
    }
}

impl Future {
    /// Returns the expected attention to the tokens after the sinks, averaged over each group of query heads,
    /// `[kv_heads][tokens - n_sink]`.
    fn expected(&self, layer: &Layer<'_>) -> Rc<Scores> {
        layer.cached("expected", self, || self.compute_expected(layer))
    }

    fn compute_expected(&self, layer: &Layer<'_>) -> Scores {
        let dim = layer.head_dim;
        let (theta, factors) = (layer.rope_theta, layer.rope_factors);
        let rotation = MeanRotation::new(layer.tokens, self.n_future_positions, dim, theta, factors);
        let group_scores = |head| {
            let keys = &layer.row(Need::Keys, head)[self.n_sink * dim..];
            let queries = layer.group(Need::QueryMoments(self.n_sink), head);
            let query_head_scores = |moments: &&[f32]| {
                let moments = QueryMoments::rotated(moments, dim, &rotation, self.use_covariance);
                formulas::expected_attention(&moments, keys)
            };
            let query_heads: Vec<Vec<f64>> = queries.iter().map(query_head_scores).collect();
            let mean = |j: usize| {
                (query_heads.iter().map(|row| row[j]).sum::<f64>() / query_heads.len() as f64) as f32
            };
            (0..layer.tokens - self.n_sink).map(mean).collect()
        };
        (0..layer.kv_heads).map(group_scores).collect()
    }

    /// Prepends a score that is higher than all others for each sink.
    fn with_sinks(&self, mut scores: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let sinks = vec![press::protected_score(&scores); self.n_sink];
        scores.iter_mut().for_each(|scores| drop(scores.splice(0..0, sinks.iter().copied())));
        scores
    }
}
