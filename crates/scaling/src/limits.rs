//! What bounds a run: the cause whose absence would shorten it most.

use crate::{MergeCost, Overheads, cluster::Cluster, simulation::simulate, study::Job};

/// The parts into which a context is split to see whether the number of contexts bounds a run.
const PARTS: usize = 4;
/// A cause that costs a smaller share of the makespan than this bounds nothing.
const LEAST_SHARE: f64 = 0.05;
/// Bytes per second that no transfer notices.
const UNLIMITED: f64 = 1e18;

/// A cause that makes a run longer than its work divided by the number of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nodes wait in the queue.
    Queue,
    /// Every shard starts and calibrates.
    Start,
    /// A context is not split.
    Contexts,
    /// Costs are only estimated when contexts are assigned.
    Estimates,
    /// Some nodes are slow.
    Stragglers,
    /// Nodes fail.
    Failures,
    /// The file system limits metadata operations.
    Metadata,
    /// The file system limits transfers.
    Bandwidth,
    /// One node merges all rows.
    Merge,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 9] = [
        Cause::Queue,
        Cause::Start,
        Cause::Contexts,
        Cause::Estimates,
        Cause::Stragglers,
        Cause::Failures,
        Cause::Metadata,
        Cause::Bandwidth,
        Cause::Merge,
    ];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Queue => "queue",
            Cause::Start => "start and calibration",
            Cause::Contexts => "number of contexts",
            Cause::Estimates => "estimates of cost",
            Cause::Stragglers => "stragglers",
            Cause::Failures => "failures",
            Cause::Metadata => "metadata",
            Cause::Bandwidth => "bandwidth",
            Cause::Merge => "merge",
        }
    }

    /// Returns a world in which the cause does not exist.
    fn remove(self, (mut job, mut cluster, mut overheads): World) -> World {
        match self {
            Cause::Queue => cluster.queue_seconds = 0.0,
            Cause::Start => job.start_seconds = 0.0,
            Cause::Contexts => job = job.split(PARTS),
            Cause::Estimates => cluster.estimate_deviation = 0.0,
            Cause::Stragglers => (cluster.slowdown_deviation, cluster.tail_share) = (0.0, 0.0),
            Cause::Failures => cluster.hours_between_failures = f64::INFINITY,
            Cause::Metadata => (cluster.metadata_rate, cluster.metadata_latency) = (UNLIMITED, 0.0),
            Cause::Bandwidth => (cluster.bandwidth, cluster.node_bandwidth) = (UNLIMITED, UNLIMITED),
            Cause::Merge => overheads.merge = MergeCost { row_seconds: 0.0, shard_seconds: 0.0 },
        }
        (job, cluster, overheads)
    }
}

/// A run, the cluster that it is simulated on, and the overheads of its processes.
type World = (Job, Cluster, Overheads);

/// Returns the cause whose absence saves most, and the share of the makespan that it saves; `None` if no
/// cause saves a twentieth.
pub fn limit(
    job: &Job,
    cluster: &Cluster,
    overheads: &Overheads,
    nodes: usize,
    seeds: &[u64],
) -> Option<(Cause, f64)> {
    let seconds = |(job, cluster, overheads): &World| {
        median(seeds.iter().map(|seed| simulate(job, cluster, overheads, nodes, *seed).makespan).collect())
    };
    let world = (job.clone(), *cluster, *overheads);
    let whole = seconds(&world);
    let saved = |cause: Cause| 1.0 - seconds(&cause.remove(world.clone())) / whole;
    Cause::ALL
        .into_iter()
        .map(|cause| (cause, saved(cause)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, share)| *share >= LEAST_SHARE)
}

/// Returns the median, the lower one of two; 0 if there are no values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ASSUMED, BITNET_2B, LIKE_70B, Pass, Study, TYPICAL};

    fn cause(study: &Study, cluster: &Cluster, nodes: usize) -> Option<Cause> {
        let job = Job::new(study, cluster, &ASSUMED, 1);
        limit(&job, cluster, &ASSUMED, nodes, &[1]).map(|(cause, _)| cause)
    }

    #[test]
    fn the_cause_is_found_that_was_made_large() {
        let study = Study::new(BITNET_2B, 32_768.0, Pass::Write);
        let few = Study { contexts: 20, ..Study::new(LIKE_70B, 131_072.0, Pass::None) };
        let prompt = Cluster { tail_share: 0.0, ..TYPICAL };
        assert_eq!(cause(&few, &prompt, 1000), Some(Cause::Contexts));
        let slow = Cluster { bandwidth: 0.05e9, ..TYPICAL };
        assert_eq!(cause(&study, &slow, 100), Some(Cause::Bandwidth));
        let busy = Cluster { metadata_rate: 5.0, ..TYPICAL };
        assert_eq!(cause(&study, &busy, 100), Some(Cause::Metadata));
        let queue = Cluster { queue_seconds: 1e5, ..TYPICAL };
        assert_eq!(cause(&study, &queue, 100), Some(Cause::Queue));
        let even = Cluster { slowdown_deviation: 0.0, ..TYPICAL };
        assert_eq!(cause(&study, &even, 1), None);
    }
}
