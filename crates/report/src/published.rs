//! The published head statistics that measured ones are shown beside.

use bitkv_record::ClassCounts;

/// Head statistics of one model as published, entropies in bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedHeads {
    /// Model name.
    pub model: &'static str,
    /// Heads in each class, under the bounds of the published code.
    pub classes: ClassCounts,
    /// Mean.
    pub mean: f64,
    /// Population standard deviation.
    pub std: f64,
    /// Coefficient of variation.
    pub cv: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

/// What microsoft/BitNet pull request 497 publishes: `entropy_config.json` for the 0.7B model and `VERIFICATION.md`
/// for the 2B model. Both were profiled on 20 texts of at most 64 tokens.
pub const PUBLISHED_HEADS: [PublishedHeads; 2] = [
    PublishedHeads {
        model: "bitnet_b1_58-large",
        classes: ClassCounts { sink: 56, focused: 135, moderate: 179, mixed: 14, diffuse: 0 },
        mean: 1.5416,
        std: 0.8502,
        cv: 0.5515,
        min: 0.0155,
        max: 3.3937,
    },
    PublishedHeads {
        model: "BitNet-b1.58-2B-4T",
        classes: ClassCounts { sink: 21, focused: 53, moderate: 386, mixed: 139, diffuse: 1 },
        mean: 2.402,
        std: 0.785,
        cv: 0.327,
        min: 0.001,
        max: 4.063,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_add_up_to_the_models_heads_and_the_published_shares() {
        let share = |i: usize| {
            let classes = PUBLISHED_HEADS[i].classes;
            (classes.sink + classes.focused) as f64 / classes.total() as f64
        };
        assert_eq!(PUBLISHED_HEADS.map(|p| p.classes.total()), [24 * 16, 30 * 20]);
        assert!((share(0) - 0.4974).abs() < 5e-5 && (share(1) - 0.123).abs() < 5e-4);
        for p in PUBLISHED_HEADS {
            assert!((p.cv - p.std / p.mean).abs() < 5e-4, "{}", p.model);
        }
    }
}
