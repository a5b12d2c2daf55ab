//! The settings of rotary position embeddings, which every file format stores in other places.
//!
//! Reference: transformers 5.23 `modeling_rope_utils.py`.

use std::{ops::RangeInclusive, sync::Arc};

/// The settings of rotary position embeddings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rope {
    /// The base of the rotary frequencies.
    pub(crate) theta: f64,
    pub(crate) scaling: RopeScaling,
}

/// How the rotary frequencies of a model differ from those of its base.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RopeScaling {
    /// They do not differ.
    #[default]
    Unscaled,
    /// Every frequency is divided by this factor.
    Linear(f64),
    /// Low frequencies are divided by a factor, high ones are not, and those between are interpolated.
    Llama3(Llama3Scaling),
    /// Each frequency is divided by its own factor. GGUF files store the factors of `llama3` in this way.
    Factors(Arc<[f32]>),
}

/// The settings of the RoPE type `llama3`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama3Scaling {
    /// The number by which low frequencies are divided.
    pub factor: f64,
    /// Wavelengths above the original context divided by this number are low frequencies.
    pub low_freq_factor: f64,
    /// Wavelengths below the original context divided by this number are high frequencies.
    pub high_freq_factor: f64,
    /// The number of positions before the context was extended.
    pub original_positions: usize,
}

/// The plausible bases of rotary frequencies. A base outside this range is treated as damage to the file.
pub(crate) const BASES: RangeInclusive<f64> = 1.0..=1e12;
/// The plausible factors of scaled forms of RoPE.
pub(crate) const FACTORS: RangeInclusive<f64> = 1e-3..=1e6;
/// The reason for refusing a form of RoPE.
pub(crate) const KNOWN_FORMS: &str =
    "but only the RoPE types default, linear and llama3 are supported: use another model";

impl RopeScaling {
    /// Returns the name of the RoPE type.
    pub fn name(&self) -> &'static str {
        match self {
            RopeScaling::Unscaled => "default",
            RopeScaling::Linear(_) => "linear",
            RopeScaling::Llama3(_) | RopeScaling::Factors(_) => "llama3",
        }
    }

    /// Returns the value of `rope_scaling` in a config.json; `None` if RoPE is not scaled, or a config.json
    /// cannot express it.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        match self {
            RopeScaling::Unscaled | RopeScaling::Factors(_) => None,
            RopeScaling::Linear(factor) => Some(serde_json::json!({"rope_type": "linear", "factor": factor})),
            RopeScaling::Llama3(scaling) => Some(serde_json::json!({
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_positions,
            })),
        }
    }

    /// Returns the frequencies of a head of `width` channels, `[width / 2]`, in radians per position.
    pub(crate) fn frequencies(&self, theta: f64, width: usize) -> Vec<f32> {
        let theta = theta as f32;
        let base = (0..width / 2).map(|j| 1.0 / theta.powf((2 * j) as f32 / width as f32));
        match self {
            RopeScaling::Unscaled => base.collect(),
            RopeScaling::Linear(factor) => base.map(|f| f / *factor as f32).collect(),
            RopeScaling::Llama3(scaling) => base.map(|f| scaling.scaled(f)).collect(),
            RopeScaling::Factors(factors) => base.zip(factors.iter()).map(|(f, factor)| f / factor).collect(),
        }
    }
}

impl Llama3Scaling {
    /// Returns the scaled form of a frequency.
    fn scaled(&self, frequency: f32) -> f32 {
        let (low, high) = (self.low_freq_factor as f32, self.high_freq_factor as f32);
        let divided = frequency / self.factor as f32;
        // The number of whole turns within the original context.
        let turns = self.original_positions as f32 * frequency / (2.0 * std::f32::consts::PI);
        if turns < low {
            divided
        } else if turns > high {
            frequency
        } else {
            let smooth = (turns - low) / (high - low);
            (1.0 - smooth) * divided + smooth * frequency
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_leaves_high_frequencies_and_divides_low_ones() {
        let scaling = Llama3Scaling {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_positions: 8192,
        };
        let plain = RopeScaling::Unscaled.frequencies(500_000.0, 128);
        let scaled = RopeScaling::Llama3(scaling).frequencies(500_000.0, 128);
        assert_eq!(plain[..20], scaled[..20]);
        assert_eq!(scaled[63], plain[63] / 8.0);
        assert!(scaled[32] < plain[32] && scaled[32] > plain[32] / 8.0, "{} {}", scaled[32], plain[32]);
        assert!(scaled.windows(2).all(|pair| pair[1] < pair[0]), "frequencies fall");
    }

    #[test]
    fn linear_scaling_and_factors_divide() {
        let plain = RopeScaling::Unscaled.frequencies(10_000.0, 4);
        assert_eq!(plain, [1.0, 0.01]);
        assert_eq!(RopeScaling::Linear(4.0).frequencies(10_000.0, 4), [0.25, 0.0025]);
        assert_eq!(RopeScaling::Factors([1.0, 2.0].into()).frequencies(10_000.0, 4), [1.0, 0.005]);
    }
}
