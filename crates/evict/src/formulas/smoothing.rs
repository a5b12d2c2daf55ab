//! Smoothing by the centred mean over neighbours.

/// Returns, for each number, the mean of the `kernel` (odd) numbers around it. Numbers beyond both ends count
/// as zeros, as in torch's `avg_pool1d`, which divides by `kernel` everywhere.
pub fn smoothed(row: &[f32], kernel: usize) -> Vec<f32> {
    let reach = kernel / 2;
    let mean = |i: usize| {
        let around = &row[i.saturating_sub(reach)..(i + reach + 1).min(row.len())];
        (around.iter().map(|&x| f64::from(x)).sum::<f64>() / kernel as f64) as f32
    };
    (0..row.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_divided_by_the_whole_kernel() {
        assert_eq!(smoothed(&[3.0, 0.0, 6.0, 9.0], 3), [1.0, 3.0, 5.0, 5.0]);
        assert_eq!(smoothed(&[3.0, 5.0], 1), [3.0, 5.0]);
        assert_eq!(smoothed(&[5.0], 5), [1.0]);
        assert!(smoothed(&[], 5).is_empty());
    }
}
