//! The norm of a value's output, which scorers weigh attention with.

use serde::{Deserialize, Serialize};

use crate::{Head, Need, formulas::mean_rows};

/// Which norm of a value's output measures how much evicting its token can change the output.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputNorm {
    /// The norm of the value times the gain of the norm that BitNet has before the output projection. The
    /// scale of BitNet's norm depends on the whole output and is left out, since it is the same for all
    /// tokens.
    SubNorm,
    /// The norm of the value without that gain, as in models without such a norm.
    Plain,
}

impl OutputNorm {
    /// Returns the need that the norm is read from.
    pub(super) fn need(self) -> Need {
        match self {
            OutputNorm::SubNorm => Need::SubNormOutputNorms,
            OutputNorm::Plain => Need::OutputNorms,
        }
    }

    /// Returns the mean norm over the group's query heads for each token held, `[held]`.
    pub(super) fn mean_norms(self, head: &Head<'_>) -> Vec<f32> {
        mean_rows(head.group(self.need()))
    }
}
