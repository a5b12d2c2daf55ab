//! The published head statistics, which reports show next to the measured ones.

use bitkv_record::{ClassCounts, Thresholds};
use std::sync::LazyLock;

/// The published head statistics of one model. Entropies are in bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedHeads {
    /// The model's name.
    pub model: &'static str,
    /// The number of heads in each class, under the class bounds of the published code.
    pub classes: ClassCounts,
    /// The mean entropy.
    pub mean: f64,
    /// The population standard deviation.
    pub std: f64,
    /// The coefficient of variation.
    pub cv: f64,
    /// The smallest entropy.
    pub min: f64,
    /// The largest entropy.
    pub max: f64,
}

/// The statistics in microsoft/BitNet pull request 497: `entropy_config.json` has those of the 0.7B model,
/// `VERIFICATION.md` those of the 2B model. Both models were profiled on 20 texts of at most 64 tokens.
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

/// The published entropy of every head of one model.
pub(crate) struct PublishedEntropies {
    /// The model's name.
    pub(crate) model: &'static str,
    /// All query heads, layer by layer.
    pub(crate) heads: Vec<PublishedHead>,
}

impl PublishedEntropies {
    /// Returns the number of heads in each class. A head that is only known to be below 0.5 bits is a sink.
    pub(crate) fn classes(&self, thresholds: &Thresholds) -> ClassCounts {
        thresholds.count(self.heads.iter().map(|head| head.entropy_bits.unwrap_or(0.0)))
    }
}

/// One head of a published profile.
pub(crate) struct PublishedHead {
    pub(crate) layer: usize,
    pub(crate) head: usize,
    /// The entropy in bits, or `None` if the publication only says that it is below 0.5, which makes the head
    /// a sink.
    pub(crate) entropy_bits: Option<f64>,
}

/// Files of layer, head and entropy in bits. The first has exact values, the second those of a heat map,
/// rounded to 0.1 bit.
const FILES: [(&str, &str); 2] = [
    ("bitnet_b1_58-large", include_str!("../../../testdata/published/bitnet_b1_58-large.csv")),
    ("BitNet-b1.58-2B-4T", include_str!("../../../testdata/published/bitnet-b1.58-2B-4T.csv")),
];

/// Returns the published entropies, which are compiled into the program.
pub(crate) fn published_entropies() -> &'static [PublishedEntropies] {
    static ALL: LazyLock<Vec<PublishedEntropies>> = LazyLock::new(|| {
        FILES.map(|(model, text)| PublishedEntropies { model, heads: parse_heads(text) }).into()
    });
    &ALL
}

/// Parses lines `layer,head,bits`. Comments and the header have no numbers and are skipped.
fn parse_heads(text: &str) -> Vec<PublishedHead> {
    let parse = |line: &str| {
        let mut values = line.split(',');
        let (layer, head) = (values.next()?.parse().ok()?, values.next()?.parse().ok()?);
        Some(PublishedHead { layer, head, entropy_bits: values.next().and_then(|bits| bits.parse().ok()) })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(model: usize, thresholds: Thresholds) -> ClassCounts {
        let published = &published_entropies()[model];
        assert_eq!(published.heads.len(), PUBLISHED_HEADS[model].classes.total());
        published.classes(&thresholds)
    }

    #[test]
    fn the_large_profile_has_the_published_classes() {
        let published = PUBLISHED_HEADS[0].classes;
        assert_eq!(counts(0, Thresholds::CODE), published);
        // So the printed bounds are not the bounds that the counts were made with.
        assert_ne!(counts(0, Thresholds::PRINTED), published);
    }

    #[test]
    fn the_heat_map_is_near_the_published_classes() {
        // Rounding to 0.1 bit moves heads near a bound. The 21 sinks have no value.
        let found = counts(1, Thresholds::CODE);
        assert_eq!((found.sink, found.sink + found.focused, found.total()), (21, 71, 600));
        assert!(found.mixed.abs_diff(139) < 20, "{found:?}");
    }

    #[test]
    fn the_counts_add_up_to_the_heads_and_the_published_shares() {
        let share = |i: usize| {
            let classes = PUBLISHED_HEADS[i].classes;
            classes.sink_or_focused() as f64 / classes.total() as f64
        };
        assert_eq!(PUBLISHED_HEADS.map(|p| p.classes.total()), [24 * 16, 30 * 20]);
        assert!((share(0) - 0.4974).abs() < 5e-5 && (share(1) - 0.123).abs() < 5e-4);
        for p in PUBLISHED_HEADS {
            assert!((p.cv - p.std / p.mean).abs() < 5e-4, "{}", p.model);
        }
    }
}
