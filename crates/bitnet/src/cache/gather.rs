//! Copies selected rows of a matrix.

/// Returns a copy of the chosen rows of a matrix, `[rows, width]`.
pub(super) fn gather<T: Copy>(from: &[T], rows: &[usize], width: usize) -> Vec<T> {
    let mut kept = Vec::with_capacity(rows.len() * width);
    rows.iter().for_each(|row| kept.extend_from_slice(&from[row * width..][..width]));
    kept
}
