//! Norms and means of rows.

use super::sums::dot;

/// Returns the Euclidean length of each of `rows`, `[tokens * width]`, as `[tokens]`.
pub fn row_norms(rows: &[f32], width: usize) -> Vec<f32> {
    rows.chunks_exact(width).map(|row| dot(row, row).sqrt() as f32).collect()
}

/// Returns the mean of rows of equal length, position by position, such as the rows of a group's query heads.
pub fn mean_rows<R: AsRef<[f32]>>(rows: &[R]) -> Vec<f32> {
    let length = rows.first().map_or(0, |row| row.as_ref().len());
    let mean = |at: usize| {
        let sum: f64 = rows.iter().map(|row| f64::from(row.as_ref()[at])).sum();
        (sum / rows.len() as f64) as f32
    };
    (0..length).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_means() {
        assert_eq!(row_norms(&[3.0, 4.0, 0.0, -2.0], 2), [5.0, 2.0]);
        assert_eq!(mean_rows(&[[1.0, 2.0], [2.0, 6.0]]), [1.5, 4.0]);
        assert!(mean_rows::<Vec<f32>>(&[]).is_empty());
    }
}
