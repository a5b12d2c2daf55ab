//! The published per-head entropies, compiled in.

use anyhow::{Context, Result, bail};

/// A published profile.
#[derive(Clone, Debug)]
pub struct Published {
    /// The model.
    pub model: String,
    /// Every query head, layer by layer.
    pub heads: Vec<Head>,
}

/// One head of a [`Published`] profile.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Layer, from 0.
    pub layer: usize,
    /// Query head, from 0.
    pub head: usize,
    /// Bits; none where the publication only says "below 0.5".
    pub entropy_bits: Option<f64>,
}

const FILES: [(&str, &str); 2] = [
    ("bitnet_b1_58-large", include_str!("../../../testdata/published/bitnet_b1_58-large.csv")),
    ("BitNet-b1.58-2B-4T", include_str!("../../../testdata/published/bitnet-b1.58-2B-4T.csv")),
];

/// bitnet_b1_58-large (exact) and BitNet-b1.58-2B-4T (rounded to 0.1 bit).
///
/// # Errors
/// When a compiled-in file is damaged.
pub fn profiles() -> Result<Vec<Published>> {
    FILES.iter().map(|(model, text)| parse(model, text)).collect()
}

fn parse(model: &str, text: &str) -> Result<Published> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let mut heads = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("the published profile of {model} is damaged"))?;
        let field = |i: usize| record.get(i).unwrap_or_default();
        let (Ok(layer), Ok(head)) = (field(0).parse(), field(1).parse()) else {
            bail!("the published profile of {model} is damaged at {record:?}");
        };
        heads.push(Head { layer, head, entropy_bits: field(2).parse().ok() });
    }
    Ok(Published { model: model.into(), heads })
}

#[cfg(test)]
mod tests {
    use bitkv_record::{ClassCounts, Thresholds};

    use super::*;

    fn counts(model: usize, thresholds: Thresholds) -> ClassCounts {
        let heads = &profiles().unwrap()[model].heads;
        thresholds.count(heads.iter().filter_map(|head| head.entropy_bits))
    }

    #[test]
    fn the_large_profile_has_the_published_classes() {
        let published = ClassCounts { sink: 56, focused: 135, moderate: 179, mixed: 14, diffuse: 0 };
        assert_eq!(counts(0, Thresholds::CODE), published);
        // So the bounds printed beside the counts cannot be those that were counted with.
        assert_ne!(counts(0, Thresholds::PRINTED), published);
    }

    #[test]
    fn the_heat_map_is_near_the_published_classes() {
        // Rounding to 0.1 bit moves heads near a bound; the 21 sinks have no figure.
        let found = counts(1, Thresholds::CODE);
        assert_eq!(found.sink, 0);
        assert!(found.focused.abs_diff(53) < 10 && found.mixed.abs_diff(139) < 20, "{found:?}");
    }
}
