//! The intervals that are compared.

use bitkv_stats::{Interval, Rng, mean_interval, quantile};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The methods, in the order of [`intervals`]. The last one is the library's.
pub(crate) const METHODS: [&str; 7] =
    ["percentile bootstrap", "t", "BCa", "bootstrap-t", "Johnson's t", "Hall's t", "`mean_interval`"];

/// The number of resamples of the bootstraps.
const RESAMPLES: usize = 1000;

/// The two-sided level of the ends.
const ENDS: [f64; 2] = [0.025, 0.975];

/// Returns the 95 % interval of every method.
pub(crate) fn intervals(values: &[f64], rng: &mut Rng) -> [(f64, f64); 7] {
    let sample = Moments::new(values);
    if values.iter().all(|value| *value == values[0]) {
        return [(values[0], values[0]); 7];
    }
    let n = values.len() as f64;
    let error = sample.deviation / n.sqrt();
    let t = StudentsT::new(0.0, 1.0, n - 1.0).expect("two or more values").inverse_cdf(ENDS[1]);
    let resamples: Vec<Moments> = (0..RESAMPLES).map(|_| Moments::resampled(values, rng)).collect();
    let means: Vec<f64> = resamples.iter().map(|resample| resample.mean).collect();
    let around = |centre: f64, reach: f64| (centre - reach, centre + reach);
    let Interval { low, high, .. } = mean_interval(values).expect("five or more values");
    [
        ends_of(&means, ENDS),
        around(sample.mean, t * error),
        bca(values, &sample, &means),
        bootstrap_t(&sample, error, &resamples),
        // Johnson 1978.
        around(sample.mean + sample.skewness * sample.deviation / (6.0 * n), t * error),
        halls(&sample, n, t),
        (low, high),
    ]
}

/// The mean, the sample standard deviation and the sample skewness.
struct Moments {
    mean: f64,
    deviation: f64,
    skewness: f64,
}

impl Moments {
    fn new(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sum = |power| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>();
        let deviation = (sum(2) / (n - 1.0)).sqrt();
        let skewness = n / ((n - 1.0) * (n - 2.0)) * sum(3) / deviation.powi(3);
        Self { mean, deviation, skewness }
    }

    /// Returns the moments of a resample. The skewness is not needed.
    fn resampled(values: &[f64], rng: &mut Rng) -> Self {
        let n = values.len();
        // Distances from a value of the sample keep the sum of squares exact for equal values.
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let distance = values[rng.below(n)] - values[0];
            sum += distance;
            squares += distance * distance;
        }
        let variance = (squares - sum * sum / n as f64) / (n - 1) as f64;
        let is_constant = variance <= 1e-12 * squares / n as f64;
        let deviation = if is_constant { 0.0 } else { variance.sqrt() };
        Self { mean: values[0] + sum / n as f64, deviation, skewness: f64::NAN }
    }
}

fn ends_of(values: &[f64], levels: [f64; 2]) -> (f64, f64) {
    let [low, high] = levels.map(|level| quantile(values, level).expect("the values are not NaN"));
    (low, high)
}

/// The bias-corrected and accelerated bootstrap (Efron 1987).
fn bca(values: &[f64], sample: &Moments, means: &[f64]) -> (f64, f64) {
    let normal = Normal::standard();
    let below = means.iter().filter(|mean| **mean < sample.mean).count() as f64;
    let ties = means.iter().filter(|mean| **mean == sample.mean).count() as f64;
    let share = (below + ties / 2.0).clamp(0.5, means.len() as f64 - 0.5) / means.len() as f64;
    let bias = normal.inverse_cdf(share);
    let sum = |power| values.iter().map(|value| (value - sample.mean).powi(power)).sum::<f64>();
    let acceleration = sum(3) / (6.0 * sum(2).powf(1.5));
    let level = |end: f64| {
        let z = bias + normal.inverse_cdf(end);
        normal.cdf(bias + z / (1.0 - acceleration * z))
    };
    ends_of(means, ENDS.map(level))
}

/// The studentised bootstrap (Efron and Tibshirani 1993, section 12.5).
fn bootstrap_t(sample: &Moments, error: f64, resamples: &[Moments]) -> (f64, f64) {
    let scale = error / sample.deviation;
    let studentised = |resample: &Moments| match resample.mean - sample.mean {
        0.0 => 0.0,
        distance if resample.deviation == 0.0 => distance.signum() * f64::MAX,
        distance => distance / (scale * resample.deviation),
    };
    let (low, high) = ends_of(&resamples.iter().map(studentised).collect::<Vec<_>>(), ENDS);
    (sample.mean - error * high, sample.mean - error * low)
}

/// The t interval on the scale of Hall's transformation (Hall 1992).
fn halls(sample: &Moments, n: f64, t: f64) -> (f64, f64) {
    let g = sample.skewness;
    let inverse = |t: f64| match t / n.sqrt() - g / (6.0 * n) {
        shifted if g.abs() < 1e-8 => shifted,
        shifted => 3.0 / g * ((1.0 + g * shifted).cbrt() - 1.0),
    };
    (sample.mean - sample.deviation * inverse(t), sample.mean - sample.deviation * inverse(-t))
}
