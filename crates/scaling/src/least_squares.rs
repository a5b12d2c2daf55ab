//! Least squares with coefficients that cannot be negative.

/// The most coefficients that [`non_negative`] accepts. It tries every subset of them.
const MOST_COEFFICIENTS: usize = 12;
/// The smallest pivot of a scaled matrix that still counts as a column of its own.
const SMALLEST_PIVOT: f64 = 1e-10;

/// Returns the coefficients, none of them negative, with the least sum of squares of `rows * x - values`.
/// `rows[i]` has one number for each coefficient.
///
/// Every subset of the columns is solved without the constraint, and the best solution without a negative
/// coefficient wins. This is exact, and needs no tolerance. A subset wins over a larger one only by a smaller
/// sum, so that columns that explain nothing stay at zero.
///
/// # Panics
/// The caller must give rows of one length, of at most 12 numbers.
pub fn non_negative(rows: &[Vec<f64>], values: &[f64]) -> Vec<f64> {
    let width = rows.first().map_or(0, Vec::len);
    assert!(width <= MOST_COEFFICIENTS && rows.iter().all(|row| row.len() == width));
    // Operations and bytes differ by ten powers of ten: columns are scaled so that pivots can be compared.
    let scales: Vec<f64> =
        (0..width).map(|j| rows.iter().map(|row| row[j].abs()).fold(0.0, f64::max)).collect();
    let mut subsets: Vec<u32> = (0..1u32 << width).collect();
    subsets.sort_by_key(|subset| (subset.count_ones(), *subset));
    let mut best = (sum_of_squares(rows, values, &vec![0.0; width]), vec![0.0; width]);
    for subset in subsets {
        let columns: Vec<usize> = (0..width).filter(|j| subset >> j & 1 == 1).collect();
        let Some(solution) = solve(rows, values, &columns, &scales) else { continue };
        if solution.iter().any(|x| *x < 0.0) {
            continue;
        }
        let sum = sum_of_squares(rows, values, &solution);
        if sum < best.0 * (1.0 - 1e-9) {
            best = (sum, solution);
        }
    }
    best.1
}

fn sum_of_squares(rows: &[Vec<f64>], values: &[f64], x: &[f64]) -> f64 {
    let residual = |row: &[f64], value: f64| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>() - value;
    rows.iter().zip(values).map(|(row, value)| residual(row, *value).powi(2)).sum()
}

/// Solves the normal equations of some columns. Returns `None` if they depend on each other.
fn solve(rows: &[Vec<f64>], values: &[f64], columns: &[usize], scales: &[f64]) -> Option<Vec<f64>> {
    if columns.iter().any(|j| scales[*j] == 0.0) {
        return None;
    }
    let scaled = |row: &[f64], j: usize| row[j] / scales[j];
    let n = columns.len();
    let mut system: Vec<Vec<f64>> = columns
        .iter()
        .map(|a| {
            let product = |b: usize| rows.iter().map(|row| scaled(row, *a) * scaled(row, b)).sum::<f64>();
            let right = rows.iter().zip(values).map(|(row, value)| scaled(row, *a) * value).sum::<f64>();
            columns.iter().map(|b| product(*b)).chain([right]).collect()
        })
        .collect();
    for k in 0..n {
        let pivot = (k..n).max_by(|a, b| system[*a][k].abs().total_cmp(&system[*b][k].abs()))?;
        system.swap(k, pivot);
        if system[k][k].abs() < SMALLEST_PIVOT {
            return None;
        }
        let pivot_row = system[k].clone();
        for row in system.iter_mut().skip(k + 1) {
            let factor = row[k] / pivot_row[k];
            row.iter_mut().zip(&pivot_row).for_each(|(x, p)| *x -= factor * p);
        }
    }
    let mut solution = vec![0.0; scales.len()];
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| system[k][j] * solution[columns[j]] * scales[columns[j]]).sum();
        solution[columns[k]] = (system[k][n] - known) / system[k][k] / scales[columns[k]];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_coefficients_are_found() {
        let rows: Vec<Vec<f64>> = (1..9).map(|i| vec![1.0, f64::from(i), f64::from(i * i) * 1e12]).collect();
        let values: Vec<f64> = rows.iter().map(|row| 2.0 + 3.0 * row[1] + 4e-12 * row[2]).collect();
        let x = non_negative(&rows, &values);
        for (found, expected) in x.iter().zip([2.0, 3.0, 4e-12]) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{x:?}");
        }
    }

    #[test]
    fn a_negative_coefficient_becomes_zero() {
        let rows = [vec![1.0, 0.0], vec![1.0, 1.0], vec![1.0, 2.0]];
        let x = non_negative(&rows, &[3.0, 2.0, 1.0]);
        assert_eq!(x[1], 0.0);
        assert!((x[0] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn equal_columns_are_not_used_twice() {
        let x = non_negative(&[vec![1.0, 1.0], vec![2.0, 2.0]], &[1.0, 2.0]);
        assert_eq!(x, [1.0, 0.0]);
    }
}
