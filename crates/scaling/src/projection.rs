//! Projected runs: shapes, lengths and numbers of nodes that nobody has measured here.

use std::thread;

use serde::Serialize;

use crate::{
    Overheads, Pass,
    cluster::Cluster,
    limits::{limit, median},
    shape::{PROJECTED, Shape},
    simulation::{Outcome, simulate},
    study::{Job, Study},
};

/// The lengths of contexts in tokens.
pub const LENGTHS: [u32; 6] = [4096, 8192, 16_384, 32_768, 65_536, 131_072];
/// The numbers of nodes.
pub const NODES: [usize; 7] = [1, 3, 10, 30, 100, 300, 1000];
/// The seeds of the simulations. Every number is a median over them.
pub(crate) const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// One projected run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Projection {
    /// The name of the shape.
    pub shape: &'static str,
    /// The tokens of the longest contexts.
    pub tokens: u32,
    /// What the run does with snapshots.
    pub pass: Pass,
    /// The number of nodes, each with one shard.
    pub nodes: usize,
    /// Seconds of the whole run as one undisturbed process.
    pub single_seconds: f64,
    /// Seconds from the submission to the end of the merge.
    pub makespan_seconds: f64,
    /// Single seconds over nodes times makespan.
    pub efficiency: f64,
    /// What bounds the run.
    pub limit: &'static str,
    /// The share of the makespan that would be saved without it.
    pub limit_share: f64,
    /// Failures of nodes.
    pub failures: f64,
    /// Shards without a context.
    pub empty_shards: usize,
    /// Seconds of the merge.
    pub merge_seconds: f64,
    /// Bytes of all snapshots, if the run has any.
    pub snapshot_bytes: f64,
}

/// Returns all projections, in the order of the file.
pub fn project(cluster: &Cluster, overheads: &Overheads) -> Vec<Projection> {
    let studies: Vec<(Shape, u32)> =
        PROJECTED.into_iter().flat_map(|shape| LENGTHS.map(|tokens| (shape, tokens))).collect();
    // Every run has its seeds, so that threads only change the time.
    let projections: Vec<Vec<Projection>> = thread::scope(|scope| {
        let threads: Vec<_> = studies
            .iter()
            .map(|study| scope.spawn(|| project_study(study.0, study.1, cluster, overheads)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a simulation does not panic")).collect()
    });
    projections.into_iter().flatten().collect()
}

/// Returns the projections of one shape and length: every pass with every number of nodes.
pub fn project_study(shape: Shape, tokens: u32, cluster: &Cluster, overheads: &Overheads) -> Vec<Projection> {
    let runs = Pass::ALL.into_iter().flat_map(|pass| NODES.map(|nodes| (pass, nodes)));
    runs.map(|(pass, nodes)| project_one(shape, tokens, pass, nodes, cluster, overheads)).collect()
}

/// Returns the outcomes of a study on a cluster, one for every seed.
pub(crate) fn outcomes(
    study: &Study,
    cluster: &Cluster,
    overheads: &Overheads,
    nodes: usize,
) -> (Job, Vec<Outcome>) {
    let job = Job::new(study, cluster, overheads, SEEDS[0]);
    let outcomes = SEEDS.iter().map(|seed| simulate(&job, cluster, overheads, nodes, *seed)).collect();
    (job, outcomes)
}

/// Returns one projection.
pub(crate) fn project_one(
    shape: Shape,
    tokens: u32,
    pass: Pass,
    nodes: usize,
    cluster: &Cluster,
    overheads: &Overheads,
) -> Projection {
    let study = Study::new(shape, f64::from(tokens), pass);
    let (job, outcomes) = outcomes(&study, cluster, overheads, nodes);
    let median_of = |number: fn(&Outcome) -> f64| median(outcomes.iter().map(number).collect());
    let makespan = median_of(|outcome| outcome.makespan);
    let snapshot_bytes = if pass == Pass::None { 0.0 } else { study.snapshot_bytes(overheads) };
    let (limit, limit_share) = if snapshot_bytes > cluster.snapshot_capacity {
        ("snapshot capacity", 0.0)
    } else {
        limit(&job, cluster, overheads, nodes, &SEEDS)
            .map_or(("no single cause", 0.0), |(c, share)| (c.name(), share))
    };
    Projection {
        shape: shape.name,
        tokens,
        pass,
        nodes,
        single_seconds: rounded(job.single_seconds()),
        makespan_seconds: rounded(makespan),
        efficiency: rounded(job.single_seconds() / (nodes as f64 * makespan)),
        limit,
        limit_share: rounded(limit_share),
        failures: median_of(|outcome| f64::from(outcome.failures)),
        empty_shards: outcomes.iter().map(|outcome| outcome.empty_shards).min().unwrap_or(0),
        merge_seconds: rounded(median_of(|outcome| outcome.merge_seconds)),
        snapshot_bytes: rounded(snapshot_bytes),
    }
}

/// Rounds to four digits. Logarithms differ in their last bits between mathematical libraries.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ASSUMED, LIKE_70B, TYPICAL};

    #[test]
    fn more_nodes_finish_sooner_and_use_their_time_less_well() {
        let even = Cluster { tail_share: 0.0, ..TYPICAL };
        let with_nodes = |nodes| project_one(LIKE_70B, 32_768, Pass::None, nodes, &even, &ASSUMED);
        let projections = NODES.map(with_nodes);
        for pair in projections.windows(2) {
            assert!(pair[1].makespan_seconds < pair[0].makespan_seconds, "{pair:?}");
        }
        assert!(projections[0].efficiency > projections[6].efficiency);
    }

    #[test]
    fn snapshots_that_do_not_fit_are_named() {
        let projection = project_one(LIKE_70B, 131_072, Pass::Write, 10, &TYPICAL, &ASSUMED);
        assert_eq!(projection.limit, "snapshot capacity");
    }
}
