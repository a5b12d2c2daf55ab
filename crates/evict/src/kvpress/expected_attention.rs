use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{
    Layer, checks,
    known::Scores,
    press::{self, ScorerPress},
};
use crate::{
    Need, Needs, Shape,
    formulas::{self, MeanRotation, QueryMoments},
    options::Options,
    registry::Method,
};

/// kvpress' `ExpectedAttentionPress`: the attention that queries yet to come are expected to
/// pay, if they are like those so far, times the length of the value.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ExpectedAttention {
    #[serde(flatten)]
    future: Future,
    /// Whether to multiply by the length of the value.
    use_vnorm: bool,
    /// Added to the expected attention before that.
    epsilon: f64,
}

/// The same without the value's length: what [`super::CriticalKv`] asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Future {
    /// How many of the positions that follow the queries are spread over.
    n_future_positions: usize,
    /// First tokens that are kept, and whose queries do not count.
    n_sink: usize,
    /// Whether the spread of the queries counts, and not only their mean.
    use_covariance: bool,
}

impl Default for ExpectedAttention {
    fn default() -> ExpectedAttention {
        ExpectedAttention { future: Future::default(), use_vnorm: true, epsilon: 0.0 }
    }
}

impl Default for Future {
    fn default() -> Future {
        Future { n_future_positions: 512, n_sink: 4, use_covariance: true }
    }
}

impl ExpectedAttention {
    pub(super) fn with_epsilon(epsilon: f64) -> ExpectedAttention {
        ExpectedAttention { epsilon, ..ExpectedAttention::default() }
    }
}

impl Options for ExpectedAttention {
    fn check(&self) -> Result<(), String> {
        checks::not_negative(self.epsilon)?;
        self.future.check()
    }
}

impl Options for Future {
    fn check(&self) -> Result<(), String> {
        match self.n_future_positions {
            0 => Err("a mean over no positions does not exist".into()),
            _ => Ok(()),
        }
    }
}

impl Method for ExpectedAttention {
    const NAME: &'static str = "kvpress:expected_attention";
    const SOURCE: &'static str = "kvpress ExpectedAttentionPress; Devoto et al. 2025, arXiv:2510.00636";
    const DESCRIPTION: &'static str =
        "expected attention of queries yet to come, times the length of the value";
}

impl ScorerPress for ExpectedAttention {
    fn needs(&self) -> Needs {
        let values = if self.use_vnorm { Needs::from([Need::Values]) } else { Needs::default() };
        ScorerPress::needs(&self.future).union(values)
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        ScorerPress::refuse(&self.future, shape)
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let mut scores = self.future.expected(layer).to_vec();
        if self.use_vnorm {
            for (head, scores) in scores.iter_mut().enumerate() {
                let norms = formulas::row_norms(layer.row(Need::Values, head), layer.head_dim);
                let behind_sinks = &norms[self.future.n_sink..];
                let weighted = |(s, norm): (&mut f32, &f32)| *s = (*s + self.epsilon as f32) * norm;
                scores.iter_mut().zip(behind_sinks).for_each(weighted);
            }
        }
        self.future.behind_sinks(scores)
    }
}

impl ScorerPress for Future {
    fn needs(&self) -> Needs {
        [Need::Keys, Need::QueryMoments(self.n_sink)].into()
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        if !shape.head_dim.is_multiple_of(2) {
            return Err(format!("rotary embedding pairs channels, and head_dim is {}", shape.head_dim));
        }
        checks::more_tokens_than("n_sink", self.n_sink, shape)
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        self.behind_sinks(self.expected(layer).to_vec())
    }
}

impl Future {
    /// Expected attention to the tokens behind the sinks, on the mean over each group.
    fn expected(&self, layer: &Layer<'_>) -> Rc<Scores> {
        layer.known("expected", self, || self.computed(layer))
    }

    fn computed(&self, layer: &Layer<'_>) -> Scores {
        let dim = layer.head_dim;
        let ahead = MeanRotation::over(layer.tokens, self.n_future_positions, dim, layer.rope_theta);
        let of_group = |head| {
            let keys = &layer.row(Need::Keys, head)[self.n_sink * dim..];
            let queries = layer.group(Need::QueryMoments(self.n_sink), head);
            let of_query_head = |moments: &&[f32]| {
                let moments = QueryMoments::rotated(moments, dim, &ahead, self.use_covariance);
                formulas::expected_attention(&moments, keys)
            };
            let all: Vec<Vec<f64>> = queries.iter().map(of_query_head).collect();
            let mean = |j: usize| (all.iter().map(|row| row[j]).sum::<f64>() / all.len() as f64) as f32;
            (0..layer.tokens - self.n_sink).map(mean).collect()
        };
        (0..layer.kv_heads).map(of_group).collect()
    }

    fn behind_sinks(&self, mut scores: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let sinks = vec![press::above(&scores); self.n_sink];
        scores.iter_mut().for_each(|scores| drop(scores.splice(0..0, sinks.iter().copied())));
        scores
    }
}
