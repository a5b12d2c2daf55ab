//! How different each key is from the other keys.

use super::sums::dot;

/// Returns how different each of `keys`, `[tokens * head_dim]`, is from the mean direction of all keys:
/// `-cos(k_j, mean_i k_i / |k_i|)`, `[tokens]` in -1..=1. The cosine of a key of length 0 is 0.
///
/// Source: Park et al. 2025 (KeyDiff), arXiv:2504.15364.
pub fn key_diff(keys: &[f32], head_dim: usize) -> Vec<f32> {
    let length = |key: &[f32]| dot(key, key).sqrt();
    let mut anchor = vec![0.0f64; head_dim];
    for key in keys.chunks_exact(head_dim) {
        let length = length(key).max(f64::MIN_POSITIVE);
        anchor.iter_mut().zip(key).for_each(|(a, &k)| *a += f64::from(k) / length);
    }
    // The anchor is not divided by the number of keys, since only its direction matters.
    let anchor_length = anchor.iter().map(|a| a * a).sum::<f64>().sqrt();
    let cosine = |key: &[f32]| {
        let dot: f64 = key.iter().zip(&anchor).map(|(&k, a)| f64::from(k) * a).sum();
        let lengths = length(key) * anchor_length;
        if lengths > 0.0 { dot / lengths } else { 0.0 }
    };
    keys.chunks_exact(head_dim).map(|key| -cosine(key) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchor_is_the_mean_direction_regardless_of_lengths() {
        // Directions (1,0) twice and (0,1): the anchor points along (2,1).
        let scores = key_diff(&[5.0, 0.0, 1.0, 0.0, 0.0, 3.0], 2);
        let length = 5f64.sqrt();
        let expected = [-2.0 / length, -2.0 / length, -1.0 / length].map(|s| s as f32);
        assert_eq!(scores, expected);
    }

    #[test]
    fn without_a_direction_the_cosine_is_zero() {
        assert_eq!(key_diff(&[0.0, 0.0, 1.0, 0.0], 2), [0.0, -1.0]);
        assert_eq!(key_diff(&[1.0, -1.0], 1), [0.0, 0.0]);
    }
}
