//! Predictions beside measurements: coefficients are fitted to some runs and predict the others.

use serde::Serialize;

use crate::{
    model::{MergeCost, ShardCost},
    point::{Pass, Point, Step},
};

/// The numbers of shards of the runs to which coefficients are fitted. All others are predicted.
pub const FITTED_SHARDS: [usize; 2] = [1, 4];
/// The largest relative error of a predicted makespan or sum of CPU seconds.
pub const TOLERANCE: f64 = 0.15;

/// A measured number of seconds beside the predicted one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was measured: `shard wall`, `shard CPU`, `makespan` or `CPU sum`.
    pub what: &'static str,
    /// What the run did with snapshots.
    pub pass: Pass,
    /// The number of shards.
    pub shards: usize,
    /// The shard, if the number is that of one.
    pub shard: Option<usize>,
    /// `fitted` if the coefficients come from this run, or else `predicted`.
    pub role: &'static str,
    /// Seconds.
    pub measured_seconds: f64,
    /// Seconds.
    pub predicted_seconds: f64,
    /// The predicted over the measured seconds, less one.
    pub relative_error: f64,
}

impl Check {
    /// Returns whether the number decides about the model: it was not fitted, and belongs to a whole run.
    pub fn decides(&self) -> bool {
        self.role == "predicted" && self.shard.is_none()
    }
}

/// Fits the runs with 1 and 4 shards and predicts every run and shard.
///
/// The makespan is the longest shard plus the merge, as if every shard had a node. The work of a shard is
/// counted from its rows, so that only seconds are predicted.
pub fn validate(points: &[Point]) -> Vec<Check> {
    let fitted = |step| {
        points.iter().filter(move |p| p.step == step && FITTED_SHARDS.contains(&p.shards)).collect::<Vec<_>>()
    };
    let wall = ShardCost::fit(&fitted(Step::Shard), |point| point.wall_seconds, true);
    let cpu = ShardCost::fit(&fitted(Step::Shard), Point::cpu_seconds, false);
    let merge = MergeCost::fit(&fitted(Step::Merge));
    let mut checks = Vec::new();
    for (pass, shards) in runs(points) {
        let processes =
            |step| points.iter().filter(move |p| (p.pass, p.shards, p.step) == (pass, shards, step));
        let mut longest = (0.0f64, 0.0f64);
        let mut cpu_sum = (0.0, 0.0);
        for point in processes(Step::Shard) {
            let walls = (point.wall_seconds, wall.seconds(point, true));
            let cpus = (point.cpu_seconds(), cpu.seconds(point, false));
            longest = (longest.0.max(walls.0), longest.1.max(walls.1));
            cpu_sum = (cpu_sum.0 + cpus.0, cpu_sum.1 + cpus.1);
            checks.push(check("shard wall", pass, shards, Some(point.shard), walls));
            checks.push(check("shard CPU", pass, shards, Some(point.shard), cpus));
        }
        for point in processes(Step::Merge) {
            longest.0 += point.wall_seconds;
            longest.1 += merge.seconds(point.work.rows, shards as f64);
        }
        checks.push(check("makespan", pass, shards, None, longest));
        checks.push(check("CPU sum", pass, shards, None, cpu_sum));
    }
    checks
}

/// Returns every pass and number of shards that was measured, in order.
fn runs(points: &[Point]) -> Vec<(Pass, usize)> {
    let mut runs: Vec<(Pass, usize)> = points.iter().map(|point| (point.pass, point.shards)).collect();
    runs.sort_unstable();
    runs.dedup();
    runs
}

fn check(
    what: &'static str,
    pass: Pass,
    shards: usize,
    shard: Option<usize>,
    (measured_seconds, predicted_seconds): (f64, f64),
) -> Check {
    Check {
        what,
        pass,
        shards,
        shard,
        role: if FITTED_SHARDS.contains(&shards) { "fitted" } else { "predicted" },
        measured_seconds,
        predicted_seconds,
        relative_error: predicted_seconds / measured_seconds - 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    fn worst(points: &[Point]) -> f64 {
        let checks = validate(points);
        assert_eq!(checks.iter().filter(|check| check.decides()).count(), 2 * 3 * 2);
        checks
            .iter()
            .filter(|check| check.decides())
            .map(|check| check.relative_error.abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn runs_that_were_not_fitted_are_predicted() {
        // All fitted shards have the same longest context, so that its cost counts as a part of the start.
        assert!(worst(&synthetic::points(0.0)) < 0.03);
        assert!(worst(&synthetic::points(0.03)) < TOLERANCE);
    }

    #[test]
    fn a_cost_that_the_model_does_not_know_is_noticed() {
        // Each shard of a run with eight waits a second longer than the model can know.
        let mut points = synthetic::points(0.0);
        points
            .iter_mut()
            .filter(|p| p.shards == 8 && p.step == Step::Shard)
            .for_each(|p| p.wall_seconds += 1.0);
        assert!(worst(&points) > TOLERANCE);
    }
}
