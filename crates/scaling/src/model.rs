//! The cost of a shard and of a merge, with coefficients that are fitted to measured points.

use crate::{
    least_squares::non_negative,
    point::{Pass, Point, Step},
    speed::MEASURED_CORES,
};

/// The number of coefficients of [`ShardCost`].
pub const COEFFICIENTS: usize = 9;

/// The names and units of the coefficients of [`ShardCost`], in order.
pub const NAMES: [(&str, &str); COEFFICIENTS] = [
    ("start of a process, with its models, texts and calibration", "s"),
    ("linear layers in prefills", "s/Gop"),
    ("linear layers and LM head in cells", "s/Gop"),
    ("attention in prefills and cells", "s/Gop"),
    ("a row: metrics, journal", "s"),
    ("an entry of the full cache in each cell: plan and copy", "us"),
    ("the longest context, whose cells do not spread over all cores", "s/Gop"),
    ("snapshots written", "s/GB"),
    ("snapshots read", "s/GB"),
];

/// Operations and bytes are counted in billions, so that coefficients are near one.
const GIGA: f64 = 1e9;
/// Seconds for a million entries are microseconds for one.
const MEGA: f64 = 1e6;
/// Points under a second count as a second when errors are weighted.
const LEAST_SECONDS: f64 = 1.0;

/// The seconds of a shard, linear in its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShardCost(pub [f64; COEFFICIENTS]);

impl ShardCost {
    /// Fits wall-clock seconds or CPU seconds: non-negative least squares of relative errors.
    pub fn fit(points: &[&Point], seconds: impl Fn(&Point) -> f64, wall: bool) -> ShardCost {
        let weight = |point: &Point| 1.0 / seconds(point).max(LEAST_SECONDS);
        let rows: Vec<Vec<f64>> = points
            .iter()
            .map(|point| features(point, wall).map(|feature| feature * weight(point)).to_vec())
            .collect();
        let values: Vec<f64> = points.iter().map(|point| seconds(point) * weight(point)).collect();
        let fitted = non_negative(&rows, &values);
        // Without points every coefficient is zero.
        ShardCost(std::array::from_fn(|i| fitted.get(i).copied().unwrap_or(0.0)))
    }

    /// Returns the seconds that the process of a point should take.
    pub fn seconds(&self, point: &Point, wall: bool) -> f64 {
        self.0.iter().zip(features(point, wall)).map(|(coefficient, feature)| coefficient * feature).sum()
    }
}

/// Returns the numbers that the coefficients multiply. A process that reads snapshots computes no prefill.
fn features(point: &Point, wall: bool) -> [f64; COEFFICIENTS] {
    let work = point.work;
    let prefill = if point.pass == Pass::Read { 0.0 } else { 1.0 };
    // List scheduling on m cores takes at most (1 - 1/m) of the longest job more than an even division
    // (Graham 1969). CPU seconds do not depend on it.
    let uneven = if wall { 1.0 - 1.0 / point.cores.max(1.0) } else { 0.0 };
    let bytes = |pass| if point.pass == pass { point.snapshot_bytes / GIGA } else { 0.0 };
    [
        1.0,
        prefill * work.prefill_ops / GIGA,
        work.cell_ops / GIGA,
        (prefill * work.prefill_attention_ops + work.cell_attention_ops) / GIGA,
        work.rows,
        work.planned_entries / MEGA,
        uneven * work.longest_ops / GIGA,
        bytes(Pass::Write),
        bytes(Pass::Read),
    ]
}

/// The cost of a merge: seconds for each row and each shard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MergeCost {
    /// Seconds for a row. It contains the start of the process, which cannot be separated in a small run.
    pub row_seconds: f64,
    /// Seconds for a shard.
    pub shard_seconds: f64,
}

impl MergeCost {
    /// Fits merges by non-negative least squares of relative errors.
    pub fn fit(points: &[&Point]) -> MergeCost {
        let weight = |point: &Point| 1.0 / point.wall_seconds.max(1e-3);
        let rows: Vec<Vec<f64>> = points
            .iter()
            .map(|point| vec![point.work.rows * weight(point), point.shards as f64 * weight(point)])
            .collect();
        let values: Vec<f64> = points.iter().map(|point| point.wall_seconds * weight(point)).collect();
        match non_negative(&rows, &values)[..] {
            [row_seconds, shard_seconds] => MergeCost { row_seconds, shard_seconds },
            _ => ASSUMED.merge,
        }
    }

    /// Returns the seconds of a merge of `rows` rows from `shards` shards.
    pub fn seconds(&self, rows: f64, shards: f64) -> f64 {
        self.row_seconds * rows + self.shard_seconds * shards
    }
}

/// What a projection takes from measured points. The speed of products is not among it, because the built-in
/// models say little about large ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overheads {
    /// Seconds from the start of a process to its first context, without the weights and the calibration of a
    /// large model.
    pub start_seconds: f64,
    /// Calls on files of a shard that has no contexts.
    pub shard_operations: f64,
    /// Calls on files for each context, by pass, in the order of [`Pass::ALL`].
    pub context_operations: [f64; 3],
    /// Bytes of the observation in a snapshot for each entry of the cache.
    pub observation_bytes: f64,
    /// Seconds of two cores for an entry of the full cache in each cell: plan and copy.
    pub entry_seconds: f64,
    /// The cost of a merge.
    pub merge: MergeCost,
    /// Whether the numbers are measured, or assumed because no points are there.
    pub measured: bool,
}

/// The overheads that are assumed until points are measured. They are rounded from first runs on a busy
/// machine.
pub const ASSUMED: Overheads = Overheads {
    start_seconds: 0.5,
    // Traced in a small run of the built-in models.
    shard_operations: 120.0,
    context_operations: [1.0, 13.0, 3.0],
    observation_bytes: 16.0,
    // The CPU seconds of tiny-mha less those of tiny-gqa, over the entries that it has more, on two cores.
    entry_seconds: 95e-9,
    merge: MergeCost { row_seconds: 35e-6, shard_seconds: 5e-3 },
    measured: false,
};

impl Overheads {
    /// Returns the overheads of measured points. What no point shows is assumed.
    pub fn fit(points: &[Point]) -> Overheads {
        let shards: Vec<&Point> = points.iter().filter(|point| point.step == Step::Shard).collect();
        if shards.is_empty() {
            return ASSUMED;
        }
        let merges: Vec<&Point> = points.iter().filter(|point| point.step == Step::Merge).collect();
        let (shard_operations, context_operations) =
            operations(&shards).unwrap_or((ASSUMED.shard_operations, ASSUMED.context_operations));
        // Other work on the machine disturbs CPU seconds less than wall-clock seconds. A start runs on one
        // core, and plans on all of them.
        let cpu = ShardCost::fit(&shards, Point::cpu_seconds, false);

        Overheads {
            start_seconds: cpu.0[0],
            shard_operations,
            context_operations,
            observation_bytes: observation_bytes(&shards).unwrap_or(ASSUMED.observation_bytes),
            entry_seconds: cpu.0[5] / MEGA / MEASURED_CORES,
            merge: MergeCost::fit(&merges),
            measured: true,
        }
    }
}

/// Returns the calls on files of a shard and of each of its contexts by pass.
fn operations(shards: &[&Point]) -> Option<(f64, [f64; 3])> {
    let traced: Vec<(&Point, f64)> =
        shards.iter().filter_map(|point| Some((*point, point.file_operations?))).collect();
    let contexts = |point: &Point, pass| if point.pass == pass { point.work.contexts } else { 0.0 };
    let features = |point: &Point| {
        let [none, write, read] = Pass::ALL.map(|pass| contexts(point, pass));
        vec![1.0, none, write, read]
    };
    let rows: Vec<Vec<f64>> = traced.iter().map(|(point, _)| features(point)).collect();
    let values: Vec<f64> = traced.iter().map(|(_, calls)| *calls).collect();
    match non_negative(&rows, &values)[..] {
        [shard, none, write, read] => Some((shard, [none, write, read])),
        _ => None,
    }
}

/// Returns the bytes of a snapshot beyond its cache, for each entry.
fn observation_bytes(shards: &[&Point]) -> Option<f64> {
    let written = || shards.iter().filter(|point| point.pass == Pass::Write && point.work.entries > 0.0);
    let entries: f64 = written().map(|point| point.work.entries).sum();
    let beyond: f64 = written().map(|point| point.snapshot_bytes - point.work.cache_bytes).sum();
    (entries > 0.0).then(|| (beyond / entries).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn known_coefficients_are_recovered_without_noise() {
        let points = synthetic::points(0.0);
        let shards: Vec<&Point> = points.iter().filter(|point| point.step == Step::Shard).collect();
        let cost = ShardCost::fit(&shards, |point| point.wall_seconds, true);
        for (found, expected) in cost.0.iter().zip(synthetic::TRUE.0) {
            assert!((found - expected).abs() <= 1e-3 * expected, "{cost:?}");
        }
    }

    #[test]
    fn overheads_come_from_points() {
        let overheads = Overheads::fit(&synthetic::points(0.0));
        assert!(overheads.measured);
        assert!((overheads.observation_bytes - synthetic::OBSERVATION_BYTES).abs() < 1e-6);
        assert!((overheads.shard_operations - synthetic::SHARD_OPERATIONS).abs() < 1e-6);
        for operations in overheads.context_operations {
            assert!((operations - synthetic::CONTEXT_OPERATIONS).abs() < 1e-6);
        }
        assert!((overheads.merge.shard_seconds - ASSUMED.merge.shard_seconds).abs() < 1e-9);
    }

    #[test]
    fn without_points_overheads_are_assumed() {
        assert_eq!(Overheads::fit(&[]), ASSUMED);
    }
}
