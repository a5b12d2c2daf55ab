//! How long the output of a value is.

use serde::{Deserialize, Serialize};

use crate::{Head, Need, formulas::mean_rows};

/// Which length of a value's output says how much dropping its token can change the output.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputNorm {
    /// Of the value times the gain of the norm that BitNet has before the output
    /// projection. That norm's scale depends on the whole output and is left out: it is the
    /// same for all tokens.
    SubNorm,
    /// Of the value as it is, as in models without such a norm.
    Plain,
}

impl OutputNorm {
    /// What it reads.
    pub(super) fn need(self) -> Need {
        match self {
            OutputNorm::SubNorm => Need::SubNormOutputNorms,
            OutputNorm::Plain => Need::OutputNorms,
        }
    }

    /// The mean over the group's query heads, one for each token held.
    pub(super) fn of(self, head: &Head<'_>) -> Vec<f32> {
        mean_rows(head.group(self.need()))
    }
}
