//! The int8 LM head, which reads fewer bytes per token and still gives the exact tokens.
//!
//! The int8 LM head finds a shortlist of rows that provably contains the most probable tokens, and the exact
//! LM head computes the logits of these rows only. So greedy and top-k sampling choose the same tokens as
//! with the exact LM head.

use bitkv_kernels::dense::Int8;

use crate::{Error, Model, Result, dense::Matrix};

/// The numeric format of the LM head.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LmHeadPrecision {
    /// The format of the checkpoint.
    #[default]
    Exact,
    /// Int8 with one scale per row, so that the largest weight of a row becomes 127. Activations are rounded
    /// to 15 bits.
    Int8,
}

impl LmHeadPrecision {
    /// The name of the format in arguments and records.
    pub fn name(self) -> &'static str {
        match self {
            LmHeadPrecision::Exact => "exact",
            LmHeadPrecision::Int8 => "int8",
        }
    }
}

/// The error of the logits of an int8 LM head, as fractions of the range (largest minus smallest) of the
/// exact logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LmHeadError {
    /// The largest absolute error.
    pub max: f64,
    /// The root mean square of the errors.
    pub rms: f64,
}

/// The error of an int8 LM head during one generation, and the number of rows that were computed exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LmHeadStats {
    /// The error of the logits after the last token of the prompt.
    pub error: LmHeadError,
    /// The number of rows of the exact LM head that were multiplied for all generated tokens together.
    pub rescored: usize,
}

/// Exact logits of the tokens that may be chosen.
pub(crate) struct ShortlistedLogits {
    /// Logits, `[vocab]`; minus infinity for tokens that cannot be among the most probable.
    pub(crate) logits: Vec<f32>,
    /// The number of rows of the exact LM head that were multiplied.
    pub(crate) rescored: usize,
}

/// The exact LM head and its int8 form, if the model has one.
pub(crate) struct LmHeads<'a> {
    pub(crate) exact: &'a Matrix,
    pub(crate) int8: Option<&'a Int8>,
}

impl LmHeads<'_> {
    /// Returns exact logits for the hidden state `hidden [hidden]`. They include those of the `k` most
    /// probable tokens and of the tokens in `always`, which must be ascending.
    pub(crate) fn shortlisted(&self, hidden: &[f32], k: usize, always: &[u32]) -> ShortlistedLogits {
        let Some(list) = self.int8.and_then(|int8| int8.shortlist(hidden, k, always)) else {
            let logits = self.exact.multiply(hidden);
            return ShortlistedLogits { rescored: logits.len(), logits };
        };
        let mut logits = vec![f32::NEG_INFINITY; self.exact.row_count()];
        for (row, logit) in list.iter().zip(self.exact.multiply_rows(hidden, &list)) {
            logits[*row as usize] = logit;
        }
        ShortlistedLogits { logits, rescored: list.len() }
    }
}

impl Model {
    /// Returns the model with an LM head of this format. The exact LM head stays in memory, because
    /// embeddings and exact logits need it.
    ///
    /// # Errors
    /// Fails if memory cannot be allocated, or if a row has more than 65,536 columns.
    pub fn with_lm_head(mut self, precision: LmHeadPrecision) -> Result<Self> {
        let head = match precision {
            LmHeadPrecision::Exact => None,
            LmHeadPrecision::Int8 => Some(self.lm_heads().exact.int8().map_err(Error::RoundedLmHead)?),
        };
        self.set_int8_lm_head(head);
        Ok(self)
    }

    /// The numeric format of the LM head.
    pub fn lm_head_precision(&self) -> LmHeadPrecision {
        self.lm_heads().int8.map_or(LmHeadPrecision::Exact, |_| LmHeadPrecision::Int8)
    }

    /// Returns the most probable token after `hidden [hidden]` and the number of rows of the exact LM head
    /// that were multiplied to find it. Of equally probable tokens, it is the one with the smallest id. The
    /// token does not depend on the format of the LM head.
    ///
    /// # Errors
    /// Fails if `hidden` has another width.
    pub fn greedy_token(&self, hidden: &[f32]) -> Result<(u32, usize)> {
        self.check_hidden(hidden)?;
        let ShortlistedLogits { logits, rescored } = self.lm_heads().shortlisted(hidden, 1, &[]);
        Ok((crate::sample::argmax(&logits), rescored))
    }

    /// Returns the `k` most probable tokens after `hidden [hidden]` with their exact logits, the most
    /// probable first. Tokens with equal logits are in ascending order. If `k` is larger than the vocabulary,
    /// all tokens are returned.
    ///
    /// # Errors
    /// Fails if `hidden` has another width.
    pub fn top_k(&self, hidden: &[f32], k: usize) -> Result<Vec<(u32, f32)>> {
        self.check_hidden(hidden)?;
        let logits = self.lm_heads().shortlisted(hidden, k, &[]).logits;
        Ok(crate::sample::ranked(&logits).into_iter().take(k).map(|id| (id, logits[id as usize])).collect())
    }

    /// Returns the error of the logits after `hidden [hidden]`; 0 for the exact LM head.
    ///
    /// # Errors
    /// Fails if `hidden` has another width.
    pub fn lm_head_error(&self, hidden: &[f32]) -> Result<LmHeadError> {
        self.check_hidden(hidden)?;
        let LmHeads { exact, int8: Some(int8) } = self.lm_heads() else {
            return Ok(LmHeadError { max: 0.0, rms: 0.0 });
        };
        let (exact, approximate) = (exact.multiply(hidden), int8.multiply(hidden));
        let (least, most) =
            exact.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), l| (a.min(*l), b.max(*l)));
        // If all exact logits are equal, their range is 0, so the error is not divided by it.
        let range = match f64::from(most) - f64::from(least) {
            range if range > 0.0 => range,
            _ => 1.0,
        };
        let errors =
            || exact.iter().zip(&approximate).map(|(e, a)| (f64::from(*e) - f64::from(*a)).abs() / range);
        let rms = (errors().map(|e| e * e).sum::<f64>() / exact.len() as f64).sqrt();
        Ok(LmHeadError { max: errors().fold(0.0, f64::max), rms })
    }

    /// Checks the width of one hidden state.
    fn check_hidden(&self, hidden: &[f32]) -> Result<()> {
        let hidden_size = self.config().hidden_size;
        match hidden.len() == hidden_size {
            true => Ok(()),
            false => Err(Error::HiddenShape { found: vec![1, hidden.len()], hidden_size }),
        }
    }
}
