//! The settings of rotary position embeddings, which every file format stores in other places.

use std::ops::RangeInclusive;

/// The settings of rotary position embeddings. Only the unscaled form is supported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rope {
    /// The base of the rotary frequencies.
    pub(crate) theta: f64,
}

/// The plausible bases of rotary frequencies. A base outside this range is treated as damage to the file.
pub(crate) const BASES: RangeInclusive<f64> = 1.0..=1e12;
/// The reason for refusing a form of RoPE that scales positions or frequencies.
pub(crate) const UNSCALED: &str = "but only unscaled RoPE is supported: use a model without RoPE scaling";
