//! How unusual each token is compared with the next partition of the cache.

use super::sums::softmax;

/// Returns how unusual each of `states`, `[tokens * head_dim]`, is compared with the next partition,
/// `reference`, `[reference_tokens * head_dim]`. Each channel is scaled by its range in the reference. The
/// result, `[tokens]`, is the softmax over tokens of the unbiased standard deviation over channels. A channel
/// that is constant in the reference counts as 0.
///
/// Source: Liang et al. 2025 (LagKV), arXiv:2504.04704.
fn lag_relative(states: &[f32], reference: &[f32], head_dim: usize) -> Vec<f32> {
    let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); head_dim];
    for state in reference.chunks_exact(head_dim) {
        for ((low, high), &x) in range.iter_mut().zip(state) {
            (*low, *high) = (low.min(f64::from(x)), high.max(f64::from(x)));
        }
    }
    let scaled = |(&x, &(low, high)): (&f32, &(f64, f64))| {
        if high > low { (f64::from(x) - low) / (high - low) } else { 0.0 }
    };
    let spread = |state: &[f32]| deviation(&state.iter().zip(&range).map(scaled).collect::<Vec<_>>());
    let mut spreads: Vec<f64> = states.chunks_exact(head_dim).map(spread).collect();
    softmax(&mut spreads);
    spreads.into_iter().map(|s| s as f32).collect()
}

/// Returns how unusual each token is compared with the next partition: the mean of the scores of its key and
/// its value. To score the keys of a partition, each channel is scaled by its range in the next partition;
/// the score of a key is the softmax, over the tokens of its partition, of the standard deviation over
/// channels. Values are scored in the same way. `keys` and `values` are `[tokens * head_dim]`, and a
/// partition has `lag` tokens. The result has one row for every whole partition except the last,
/// `[partitions - 1][lag]`.
///
/// Source: Liang et al. 2025 (LagKV), arXiv:2504.04704.
pub fn lag_scores(keys: &[f32], values: &[f32], head_dim: usize, lag: usize) -> Vec<Vec<f32>> {
    let partitions = |states: &[f32]| -> Vec<Vec<f32>> {
        let parts: Vec<&[f32]> = states.chunks_exact(lag * head_dim).collect();
        parts.windows(2).map(|pair| lag_relative(pair[0], pair[1], head_dim)).collect()
    };
    let mean =
        |(keys, values): (Vec<f32>, Vec<f32>)| keys.iter().zip(values).map(|(k, v)| (k + v) / 2.0).collect();
    partitions(keys).into_iter().zip(partitions(values)).map(mean).collect()
}

/// Returns the rank of each score, from 0 for the lowest. If scores are equal, the first has the lowest rank.
pub fn ranks(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut ranks = vec![0; scores.len()];
    order.into_iter().enumerate().for_each(|(rank, at)| ranks[at] = rank);
    ranks
}

/// Returns the standard deviation with `n - 1` in the denominator, or 0 for a single number.
fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_scaled_to_the_range_of_the_next_partition() {
        // Ranges 0..2 and 0..4; scaled states (1, 0) and (0.5, 0.5): deviations sqrt(1/2) and 0.
        let found = lag_relative(&[2.0, 0.0, 1.0, 2.0], &[0.0, 4.0, 2.0, 0.0], 2);
        let wide = 0.5f64.sqrt().exp();
        assert_eq!(found, [(wide / (wide + 1.0)) as f32, (1.0 / (wide + 1.0)) as f32]);
    }

    #[test]
    fn a_channel_without_range_counts_as_zero() {
        let found = lag_relative(&[9.0, 0.0, 1.0, 0.0], &[3.0, 0.0, 3.0, 1.0], 2);
        assert_eq!(found, [0.5, 0.5]);
    }

    #[test]
    fn every_partition_except_the_last_is_scored() {
        let states: Vec<f32> = (0..7).map(|i| (i * i) as f32).collect();
        let scores = lag_scores(&states, &states, 1, 2);
        assert_eq!(scores, [vec![0.5, 0.5], vec![0.5, 0.5]]);
        let keys = [2.0, 0.0, 1.0, 2.0, 0.0, 4.0, 2.0, 0.0];
        let (of_keys, of_zeros) = (lag_relative(&keys[..4], &keys[4..], 2), 0.5);
        let expected = [(of_keys[0] + of_zeros) / 2.0, (of_keys[1] + of_zeros) / 2.0];
        assert_eq!(lag_scores(&keys, &[0.0; 8], 2, 2), [expected]);
    }

    #[test]
    fn ranks_count_from_the_lowest() {
        assert_eq!(ranks(&[0.3, -1.0, 0.3, 7.0]), [1, 0, 2, 3]);
    }
}
