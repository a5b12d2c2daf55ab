//! Finds the rows whose exact products can be among the largest.

use super::{Int8, activations::Activations};
use crate::isa;

/// If a list has more than this fraction of all rows, computing all exact products is as fast.
const MOST: f64 = 0.125;

impl Int8 {
    /// Returns the indices of some rows, ascending. They provably include all rows whose exact products with
    /// `x [cols]` are among the `k` largest, ties included. Exact products are those of
    /// [`matmul`](crate::inference::dense::matmul) with the weights before rounding.
    ///
    /// The list also includes the rows in `always`, which must be ascending; the `k` largest products are
    /// those of the other rows.
    ///
    /// Returns `None` if a list is not useful: if it would have more than an eighth of the rows, if `x` is
    /// not finite, or if `k` is 0 or at least the number of other rows.
    ///
    /// # Panics
    /// Panics if `x` is not one token.
    pub fn shortlist(&self, x: &[f32], k: usize, always: &[u32]) -> Option<Vec<u32>> {
        let most = (MOST * self.rows.len() as f64) as usize;
        self.candidates(x, k, always).filter(|list| list.len() <= most)
    }

    /// Returns the list of [`Int8::shortlist`], even if it is long.
    pub(super) fn candidates(&self, x: &[f32], k: usize, always: &[u32]) -> Option<Vec<u32>> {
        let x = self.activations(x);
        let [x] = &x[..] else { panic!("a list is for one token") };
        let approximate = self.products(isa(), std::slice::from_ref(x));
        let rows = 0..approximate.len();
        let errors: Vec<f64> = rows.clone().map(|row| self.error_bound(x, row, approximate[row])).collect();
        let is_ranked = |row: &usize| always.binary_search(&(*row as u32)).is_err();
        let mut lower_bounds: Vec<f64> =
            rows.clone().filter(is_ranked).map(|row| f64::from(approximate[row]) - errors[row]).collect();
        if k == 0 || k >= lower_bounds.len() || lower_bounds.iter().any(|bound| !bound.is_finite()) {
            return None;
        }
        // At least `k` exact products are not below this threshold.
        let threshold = *lower_bounds.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1;
        let is_candidate =
            |row: &usize| f64::from(approximate[*row]) + errors[*row] >= threshold || !is_ranked(row);
        Some(rows.filter(is_candidate).map(|row| row as u32).collect())
    }

    /// Returns an upper bound of the difference between a row's `approximate` product and the product of the
    /// exact kernels.
    ///
    /// With `w'` and `x'` for the rounded values, `w x - w' x' = (w - w') x + w' (x - x')`. The bound also
    /// covers the rounding of the exact kernels' f32 sums, with at most three terms per column (Higham,
    /// *Accuracy and Stability of Numerical Algorithms*, section 3.1); numbers below the normal range, which
    /// the tile unit treats as zero; and the rounding of `approximate`.
    pub(super) fn error_bound(&self, x: &Activations, row: usize, approximate: f32) -> f64 {
        let (error, norm) = (f64::from(self.rows[row].error), f64::from(self.rows[row].norm));
        let terms = 3.0 * (self.stride + 64) as f64;
        let relative = terms * f64::from(f32::EPSILON) / 2.0;
        let sums = relative / (1.0 - relative) * norm * x.norm;
        let tiny = terms * f64::from(f32::MIN_POSITIVE) * (1.0 + norm + x.norm);
        let rounded = f64::from(approximate.abs()) * f64::from(f32::EPSILON);
        // The last factor covers the rounding of the f64 arithmetic, here and in the norms.
        (error * x.norm + (norm + error) * x.error + sums + tiny + rounded) * (1.0 + 1e-6)
    }
}
