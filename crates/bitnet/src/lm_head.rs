//! A cheaper output head, and exact answers through it.

use bitkv_kernels::dense::Int8;

use crate::{Error, Model, Result, dense::Matrix};

/// The numbers of the output head.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LmHeadPrecision {
    /// Those of the checkpoint.
    #[default]
    Exact,
    /// Int8, the largest weight of a row as 127; activations keep 15 bits.
    Int8,
}

impl LmHeadPrecision {
    /// Its name in arguments and records.
    pub fn name(self) -> &'static str {
        match self {
            LmHeadPrecision::Exact => "exact",
            LmHeadPrecision::Int8 => "int8",
        }
    }
}

/// How far the logits of a cheaper head are from the exact ones, as parts of the exact logits' range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LmHeadError {
    /// The largest error.
    pub max: f64,
    /// The root of the mean square.
    pub rms: f64,
}

/// What a cheaper head did for a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LmHeadStats {
    /// Its error behind the prompt.
    pub error: LmHeadError,
    /// Rows of the exact head that were multiplied, over all tokens.
    pub rescored: usize,
}

/// Exact logits of the rows that count.
pub(crate) struct Shortlisted {
    /// `[vocab]`; minus infinity where a token cannot be among the most probable.
    pub(crate) logits: Vec<f32>,
    /// Rows that were multiplied exactly.
    pub(crate) rescored: usize,
}

/// The exact head and its rounded form.
pub(crate) struct LmHeads<'a> {
    pub(crate) exact: &'a Matrix,
    pub(crate) int8: Option<&'a Int8>,
}

impl LmHeads<'_> {
    /// Of a hidden state, exact logits of the `k` most probable tokens and of tokens `always`, ascending.
    pub(crate) fn shortlisted(&self, hidden: &[f32], k: usize, always: &[u32]) -> Shortlisted {
        let Some(list) = self.int8.and_then(|int8| int8.shortlist(hidden, k, always)) else {
            let logits = self.exact.multiply(hidden);
            return Shortlisted { rescored: logits.len(), logits };
        };
        let mut logits = vec![f32::NEG_INFINITY; self.exact.count()];
        for (row, logit) in list.iter().zip(self.exact.multiply_rows(hidden, &list)) {
            logits[*row as usize] = logit;
        }
        Shortlisted { logits, rescored: list.len() }
    }
}

impl Model {
    /// The same model with an output head of other numbers. The exact head stays, for embeddings and exact answers.
    ///
    /// # Errors
    /// When the system has no room, or a row has more than 65,536 columns.
    pub fn with_lm_head(mut self, precision: LmHeadPrecision) -> Result<Self> {
        let head = match precision {
            LmHeadPrecision::Exact => None,
            LmHeadPrecision::Int8 => Some(self.lm_heads().exact.int8().map_err(Error::RoundedLmHead)?),
        };
        self.set_int8(head);
        Ok(self)
    }

    /// The numbers of the output head.
    pub fn lm_head(&self) -> LmHeadPrecision {
        self.lm_heads().int8.map_or(LmHeadPrecision::Exact, |_| LmHeadPrecision::Int8)
    }

    /// The most probable token after `hidden [hidden]`, the smallest id among equals, and how many rows of the exact
    /// head that took: the token of the exact head, whichever head there is.
    ///
    /// # Errors
    /// When `hidden` has another width.
    pub fn greedy(&self, hidden: &[f32]) -> Result<(u32, usize)> {
        self.check_row(hidden)?;
        let Shortlisted { logits, rescored } = self.lm_heads().shortlisted(hidden, 1, &[]);
        Ok((crate::sample::argmax(&logits), rescored))
    }

    /// The `k` most probable tokens after `hidden [hidden]` with their exact logits, the most probable first and the
    /// smallest id first among equals; all tokens where there are no more.
    ///
    /// # Errors
    /// When `hidden` has another width.
    pub fn top_k(&self, hidden: &[f32], k: usize) -> Result<Vec<(u32, f32)>> {
        self.check_row(hidden)?;
        let logits = self.lm_heads().shortlisted(hidden, k, &[]).logits;
        Ok(crate::sample::ranked(&logits).into_iter().take(k).map(|id| (id, logits[id as usize])).collect())
    }

    /// How far this head's logits after `hidden [hidden]` are from the exact ones; 0 for the exact head.
    ///
    /// # Errors
    /// When `hidden` has another width.
    pub fn head_error(&self, hidden: &[f32]) -> Result<LmHeadError> {
        self.check_row(hidden)?;
        let LmHeads { exact, int8: Some(int8) } = self.lm_heads() else {
            return Ok(LmHeadError { max: 0.0, rms: 0.0 });
        };
        let (exact, about) = (exact.multiply(hidden), int8.multiply(hidden));
        let (least, most) =
            exact.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), l| (a.min(*l), b.max(*l)));
        // Equal logits have no range; their error is absolute.
        let range = match f64::from(most) - f64::from(least) {
            range if range > 0.0 => range,
            _ => 1.0,
        };
        let errors = || exact.iter().zip(&about).map(|(e, a)| (f64::from(*e) - f64::from(*a)).abs() / range);
        let rms = (errors().map(|e| e * e).sum::<f64>() / exact.len() as f64).sqrt();
        Ok(LmHeadError { max: errors().fold(0.0, f64::max), rms })
    }

    fn check_row(&self, hidden: &[f32]) -> Result<()> {
        let hidden_size = self.config().hidden_size;
        match hidden.len() == hidden_size {
            true => Ok(()),
            false => Err(Error::HiddenShape { found: vec![1, hidden.len()], hidden_size }),
        }
    }
}
