//! Metrics of the attention that is lost by eviction.

use bitkv_stats::{attention_preservation, relative_error};

use super::{mean, mean_over_pairs};

/// Returns the cosine of an attention row with its kept part, averaged over heads: the published "attention
/// preservation".
///
/// `rows` are `[heads][tokens]`, and `kept[head]` are the positions that are kept for that head. The cosine
/// is the square root of the kept fraction of the row's squared mass. One large weight can make up nearly all
/// of that mass.
pub fn attention_cosine(rows: &[Vec<f32>], kept: &[&[u32]]) -> f64 {
    mean_over_pairs(rows, kept, |row, kept| attention_preservation(row, kept))
}

/// Returns the fraction of an attention row's mass on kept positions, 0..1, averaged over heads. The
/// arguments are those of [`attention_cosine`].
pub fn retained_mass(rows: &[Vec<f32>], kept: &[&[u32]]) -> f64 {
    mean_over_pairs(rows, kept, |row, kept| bitkv_stats::retained_mass(row, kept))
}

/// Returns the relative error of the attention output of every layer, `||compressed - full||_2 / ||full||_2`.
///
/// Both arguments are the attention outputs for the scored tokens, `[layers][tokens * width]`. Returns one
/// value per layer, or a single NaN if the numbers of layers differ.
pub fn output_errors(full: &[Vec<f32>], compressed: &[Vec<f32>]) -> Vec<f64> {
    if full.len() != compressed.len() {
        return vec![f64::NAN];
    }
    full.iter().zip(compressed).map(|(full, compressed)| relative_error(full, compressed)).collect()
}

/// Returns the mean of [`output_errors`] over the layers.
pub fn output_error(full: &[Vec<f32>], compressed: &[Vec<f32>]) -> f64 {
    mean(output_errors(full, compressed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_worked_out_by_hand_are_reproduced() {
        let rows = vec![vec![0.5, 0.25, 0.25], vec![1.0, 0.0, 0.0]];
        let kept: [&[u32]; 2] = [&[0, 1], &[0]];
        assert_eq!(retained_mass(&rows, &kept), 0.875);
        let first = ((0.25 + 0.0625) / (0.25 + 0.125f64)).sqrt();
        assert!((attention_cosine(&rows, &kept) - (first + 1.0) / 2.0).abs() < 1e-12);
        let full = vec![vec![3.0, 4.0], vec![0.0, 2.0]];
        let compressed = vec![vec![0.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(output_errors(&full, &compressed), [1.0, 0.5]);
        assert_eq!(output_error(&full, &compressed), 0.75);
        assert_eq!(output_error(&full, &full), 0.0);
    }

    #[test]
    fn keeping_fewer_positions_lowers_both_metrics() {
        let rows = vec![vec![0.1, 0.2, 0.3, 0.4]; 2];
        let all = [0u32, 1, 2, 3];
        let mut before = (f64::INFINITY, f64::INFINITY);
        for count in (0..=4).rev() {
            let kept = [&all[..count], &all[..]];
            let now = (attention_cosine(&rows, &kept), retained_mass(&rows, &kept));
            assert!(now.0 < before.0 && now.1 < before.1, "{count}: {before:?} {now:?}");
            before = now;
        }
    }

    #[test]
    fn empty_and_unequal_inputs_give_nan() {
        assert!(attention_cosine(&[], &[]).is_nan());
        assert!(retained_mass(&[vec![1.0]], &[]).is_nan());
        assert!(output_error(&[], &[]).is_nan());
        assert!(output_error(&[vec![1.0]], &[]).is_nan());
        assert!(output_error(&[vec![1.0]], &[vec![1.0, 2.0]]).is_nan());
    }
}
