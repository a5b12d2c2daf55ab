//! Two entropy profiles of the same texts.

use bitkv_record::{ProfileDifference, ProfileReading, Thresholds};
use bitkv_stats::spearman;

use super::spread;
use crate::profile::{Entropies, Rows};

/// The published bounds; heads below `focused` are those said to need little cache.
const BOUNDS: Thresholds = Thresholds::CODE;

/// The profile of one model at a context length, from the published rows.
pub(super) fn reading(entropies: &Entropies, context: usize) -> ProfileReading {
    let bits = entropies.mean(context, Rows::Published);
    ProfileReading {
        context,
        mean_bits: mean(&bits),
        classes: BOUNDS.count(bits.iter().copied()),
        below_focused: below(&bits),
    }
}

/// `other` against `truth` at a context length; both over the same texts.
pub(super) fn compare(truth: &Entropies, other: &Entropies, context: usize, seed: u64) -> ProfileDifference {
    let (own, its) = (by_text(truth, context), by_text(other, context));
    let over = |value: fn(&[f64], &[f64]) -> f64| -> Vec<f64> {
        own.iter().zip(&its).map(|(own, its)| value(own, its)).collect()
    };
    let correlations: Option<Vec<f64>> = own.iter().zip(&its).map(|(own, its)| spearman(own, its)).collect();
    let [own_mean, its_mean] = [truth, other].map(|e| e.mean(context, Rows::Published));
    ProfileDifference {
        context,
        rank_correlation: spearman(&own_mean, &its_mean),
        between_halves: between_halves(&own),
        mean_absolute_bits: absolute(&own_mean, &its_mean),
        text_rank_correlation: correlations.map(|each| spread(&each, seed)),
        text_absolute_bits: spread(&over(absolute), seed),
        text_below_focused: spread(&over(|own, its| below(its) - below(own)), seed),
    }
}

/// The profile of each text by itself, `[text][layer * head]`.
fn by_text(entropies: &Entropies, context: usize) -> Vec<Vec<f64>> {
    let rows = entropies.rows("", context, Rows::Published);
    // The mean over texts comes first.
    let texts = rows.chunks(entropies.layers * entropies.heads).skip(1);
    texts.map(|heads| heads.iter().filter_map(|head| head.entropy_bits).collect()).collect()
}

/// Correlation of the mean profiles of every other text and of the rest.
fn between_halves(texts: &[Vec<f64>]) -> Option<f64> {
    let half = |first: usize| {
        let half: Vec<&Vec<f64>> = texts.iter().skip(first).step_by(2).collect();
        let heads = half.first().map_or(0, |text| text.len());
        let of_head = |head: usize| half.iter().map(|text| text[head]).sum::<f64>() / half.len() as f64;
        (0..heads).map(of_head).collect::<Vec<f64>>()
    };
    spearman(&half(0), &half(1))
}

fn absolute(own: &[f64], its: &[f64]) -> f64 {
    mean(&own.iter().zip(its).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>())
}

fn below(bits: &[f64]) -> f64 {
    mean(&bits.iter().map(|&bits| f64::from(u8::from(bits < BOUNDS.focused))).collect::<Vec<_>>())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_every_other_text() {
        let (rising, falling) = (vec![1.0, 2.0, 3.0], vec![3.0, 2.0, 1.0]);
        let alternating = [rising.clone(), falling.clone(), rising.clone(), falling];
        assert_eq!(between_halves(&alternating), Some(-1.0));
        assert_eq!(between_halves(&[rising.clone(), rising.clone()]), Some(1.0));
        assert_eq!(between_halves(&[rising]), None);
    }

    #[test]
    fn a_head_at_the_bound_is_not_below_it() {
        assert_eq!(below(&[0.1, 1.499, 1.5, 3.0]), 0.5);
        assert_eq!(absolute(&[1.0, 2.0], &[2.0, 0.0]), 1.5);
    }
}
