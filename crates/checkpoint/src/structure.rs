//! Statistics of trained ternary weights, which reveal a wrong order of codes.
//!
//! A trained matrix is not noise: some input channels and some output channels have more zeros than others.
//! If codes are read in a wrong order, either channels are mixed or whole channels are exchanged. Mixing
//! evens out the numbers of zeros, so [`score`] falls. Exchanged channels no longer match the other tensors
//! of the model, so [`agreement`] falls.

/// The number of nonzero weights in each row and in each column.
#[derive(Clone, Debug, PartialEq)]
pub struct NonZeros {
    /// The counts by row.
    pub rows: Vec<u32>,
    /// The counts by column.
    pub cols: Vec<u32>,
}

impl NonZeros {
    /// Counts the nonzero weights (codes other than 1) of a matrix `[rows, cols]`. `decode(row, out)` writes
    /// the codes of a row to `out`.
    pub fn count(rows: usize, cols: usize, decode: impl Fn(usize, &mut [u8])) -> Self {
        let mut counts = NonZeros { rows: Vec::with_capacity(rows), cols: vec![0; cols] };
        let mut codes = vec![0; cols];
        for row in 0..rows {
            decode(row, &mut codes);
            counts.rows.push(codes.iter().map(|code| u32::from(*code != 1)).sum());
            counts.cols.iter_mut().zip(&codes).for_each(|(count, code)| *count += u32::from(*code != 1));
        }
        counts
    }
}

/// Returns how much the rows and columns of a matrix differ in their number of zeros. The unit is the
/// standard deviation for independent codes: noise scores about 0, and a trained matrix far above it.
///
/// The score does not change if whole rows or whole columns are exchanged.
pub fn score(rows: usize, cols: usize, decode: impl Fn(usize, &mut [u8])) -> f64 {
    let counts = NonZeros::count(rows, cols, decode);
    (overdispersion(&counts.rows, cols) + overdispersion(&counts.cols, rows)) / 2f64.sqrt()
}

/// Returns how much more the `counts` of successes in `trials` vary than a binomial distribution would, in
/// standard deviations.
///
/// Reference: Pearson's chi-squared statistic, normalised to mean 0 and variance 1.
pub fn overdispersion(counts: &[u32], trials: usize) -> f64 {
    let free = counts.len() as f64 - 1.0;
    let mean = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / counts.len() as f64;
    let variance = mean * (1.0 - mean / trials as f64);
    // Nothing can vary in this case.
    if free < 1.0 || variance <= 0.0 {
        return 0.0;
    }
    let squares: f64 = counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum();
    (squares / variance - free) / (2.0 * free).sqrt()
}

/// Returns Spearman's rank correlation of two lists over the same channels, divided by its standard deviation
/// for lists in random order. Returns 0 if one of the lists is constant.
///
/// # Panics
/// Panics if the lists differ in length.
pub fn agreement(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "the same channels");
    let (a, b) = (centred_ranks(a), centred_ranks(b));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let norm = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if norm == 0.0 { 0.0 } else { dot(&a, &b) / norm * (a.len() as f64 - 1.0).sqrt() }
}

/// Returns the rank of each value minus the mean rank; equal values share a rank.
fn centred_ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let (mut ranks, middle) = (vec![0.0; values.len()], (values.len() as f64 - 1.0) / 2.0);
    let mut first = 0;
    for ties in order.chunk_by(|i, j| values[*i] == values[*j]) {
        let rank = first as f64 + (ties.len() as f64 - 1.0) / 2.0 - middle;
        ties.iter().for_each(|at| ranks[*at] = rank);
        first += ties.len();
    }
    ranks
}
