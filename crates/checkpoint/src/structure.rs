//! Signs of training in ternary weights, by which a wrong order of codes is noticed.
//!
//! A trained matrix is no noise: some input channels and some output channels have more zeros than others. Reading
//! codes in a wrong order either mixes channels, which evens them out ([`score`] falls), or exchanges channels,
//! which leaves each of them as it was, but no longer in step with other tensors of the model ([`agreement`] falls).

/// How many weights are not zero in each row and in each column.
#[derive(Clone, Debug, PartialEq)]
pub struct NonZeros {
    /// By row.
    pub rows: Vec<u32>,
    /// By column.
    pub cols: Vec<u32>,
}

impl NonZeros {
    /// Counts the codes other than 1 of a matrix `[rows, cols]` of which `decode(row, out)` gives the rows.
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

/// How far the rows and columns of a matrix differ in their number of zeros, in standard deviations of what
/// independent codes would show: about 0 for noise, far above it for a trained matrix.
///
/// Blind to a permutation of whole rows or whole columns.
pub fn score(rows: usize, cols: usize, decode: impl Fn(usize, &mut [u8])) -> f64 {
    let counts = NonZeros::count(rows, cols, decode);
    (overdispersion(&counts.rows, cols) + overdispersion(&counts.cols, rows)) / 2f64.sqrt()
}

/// How much more counts of successes in `trials` vary than those of a binomial, in standard deviations.
///
/// Reference: Pearson's chi-squared statistic, brought to mean 0 and variance 1.
pub fn overdispersion(counts: &[u32], trials: usize) -> f64 {
    let free = counts.len() as f64 - 1.0;
    let mean = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / counts.len() as f64;
    let variance = mean * (1.0 - mean / trials as f64);
    // Nothing can vary.
    if free < 1.0 || variance <= 0.0 {
        return 0.0;
    }
    let squares: f64 = counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum();
    (squares / variance - free) / (2.0 * free).sqrt()
}

/// Spearman's rank correlation of two lists over the same channels, in standard deviations of what lists in
/// arbitrary orders would show; 0 if one of them is constant.
///
/// # Panics
/// When the lists differ in length.
pub fn agreement(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "the same channels");
    let (a, b) = (centred_ranks(a), centred_ranks(b));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let norm = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if norm == 0.0 { 0.0 } else { dot(&a, &b) / norm * (a.len() as f64 - 1.0).sqrt() }
}

/// Ranks less their mean; equal values share theirs.
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
