//! Summarises one row of logits and compares it with a reference, in one pass that reads each tile of the row
//! from memory once.

use std::f64::consts::LOG2_E;

use super::{Divergence, Prediction, exp2::exp2};
use crate::simd::dispatch;

const LANES: usize = 16;
/// Number of logits in a tile. Together with the weights of the reference they stay in the first-level cache.
const TILE: usize = 1024;

dispatch! {
/// Returns the entry of [`predictions`](super::predictions) for one row.
pub(super) fn summarise(row: &[f32]) -> Option<Prediction> {
    let mut running = RunningPrediction::EMPTY;
    for (i, tile) in row.chunks(TILE).enumerate() {
        running.raise_peak(i * TILE, tile);
        running.add_weights(tile);
    }
    running.prediction()
}
}

dispatch! {
/// Returns the entries of [`divergences`](super::divergences) for one row, `[others]`.
pub(super) fn compare(reference: &[f32], predicted: &Prediction, others: &[&[f32]]) -> Vec<Option<Divergence>> {
    let mut weights = [0.0; TILE];
    let mut total = [0.0; LANES];
    let mut running = vec![(RunningPrediction::EMPTY, [0.0; LANES]); others.len()];
    for (i, reference) in reference.chunks(TILE).enumerate() {
        let weights = &mut weights[..reference.len()];
        store_weights(reference, predicted.peak, weights, &mut total);
        for (other, (running, differences)) in others.iter().zip(&mut running) {
            let tile = &other[i * TILE..][..reference.len()];
            running.raise_peak(i * TILE, tile);
            running.add_weights(tile);
            add_differences(weights, reference, tile, differences);
        }
    }
    let total: f64 = total.iter().sum();
    let divergence = |(running, differences): &(RunningPrediction, [f64; LANES])| {
        let prediction = running.prediction()?;
        // The divergence is sum p (z_p - z_q) + ln Z_q - ln Z_p. Every term is 0 for equal rows.
        let peaks = f64::from(prediction.peak) - f64::from(predicted.peak);
        let normalisers = peaks + (prediction.log_sum - predicted.log_sum);
        Some(Divergence { prediction, kl: differences.iter().sum::<f64>() / total + normalisers })
    };
    running.iter().map(divergence).collect()
}
}

/// The prediction from the tiles read so far.
#[derive(Clone, Copy)]
struct RunningPrediction {
    /// The largest logit.
    peak: f32,
    /// The class of the largest logit.
    best: usize,
    /// Sums of `exp(z - peak)`, one per lane.
    sums: [f64; LANES],
    /// 0 if all logits are finite, otherwise NaN.
    finite: f32,
}

impl RunningPrediction {
    const EMPTY: RunningPrediction =
        RunningPrediction { peak: f32::NEG_INFINITY, best: 0, sums: [0.0; LANES], finite: 0.0 };

    /// Updates the peak with a tile whose first class is `first`.
    #[inline(always)]
    fn raise_peak(&mut self, first: usize, tile: &[f32]) {
        let (mut peaks, mut finite) = ([f32::NEG_INFINITY; LANES], [0.0; LANES]);
        for_each_lane(tile.len(), |lane, i| {
            let z = tile[i];
            peaks[lane] = if z > peaks[lane] { z } else { peaks[lane] };
            finite[lane] = z.mul_add(0.0, finite[lane]);
        });
        self.finite += finite.iter().sum::<f32>();
        let peak = peaks.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
        if peak > self.peak {
            // If the old peak is minus infinity, the factor is meaningless, but all sums are still 0.
            let factor = exp2((f64::from(self.peak) - f64::from(peak)) * LOG2_E);
            self.sums.iter_mut().for_each(|sum| *sum *= factor);
            self.peak = peak;
            self.best = first + tile.iter().position(|&z| z == peak).unwrap_or(0);
        }
    }

    /// Adds the weights `exp(z - peak)` of a tile to the sums.
    #[inline(always)]
    fn add_weights(&mut self, tile: &[f32]) {
        let (sums, peak) = (&mut self.sums, f64::from(self.peak));
        for_each_lane(tile.len(), |lane, i| sums[lane] += weight(tile[i], peak));
    }

    /// Returns the prediction, or `None` if a logit is not finite.
    #[inline(always)]
    fn prediction(&self) -> Option<Prediction> {
        let finite = self.finite == 0.0 && self.peak > f32::NEG_INFINITY;
        let log_sum = || self.sums.iter().sum::<f64>().ln();
        finite.then(|| Prediction { best: self.best, peak: self.peak, log_sum: log_sum() })
    }
}

/// Returns `exp(z - peak)`.
#[inline(always)]
fn weight(z: f32, peak: f64) -> f64 {
    exp2((f64::from(z) - peak) * LOG2_E)
}

/// Writes the weights of a tile and adds them to `total`.
#[inline(always)]
fn store_weights(tile: &[f32], peak: f32, weights: &mut [f64], total: &mut [f64; LANES]) {
    let peak = f64::from(peak);
    for_each_lane(tile.len(), |lane, i| {
        weights[i] = weight(tile[i], peak);
        total[lane] += weights[i];
    });
}

/// Adds `weight * (z_p - z_q)` of a tile to `differences`.
#[inline(always)]
fn add_differences(weights: &[f64], reference: &[f32], tile: &[f32], differences: &mut [f64; LANES]) {
    let (weights, reference) = (&weights[..tile.len()], &reference[..tile.len()]);
    for_each_lane(tile.len(), |lane, i| {
        let difference = f64::from(reference[i]) - f64::from(tile[i]);
        differences[lane] = weights[i].mul_add(difference, differences[lane]);
    });
}

/// Calls `f(lane, index)` for every index below `count`, where `lane` is the lane that sums this index.
#[inline(always)]
fn for_each_lane(count: usize, mut f: impl FnMut(usize, usize)) {
    let whole = count / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            f(lane, first + lane);
        }
    }
    for i in whole..count {
        f(i - whole, i);
    }
}
