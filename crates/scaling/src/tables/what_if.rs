//! The table that changes one assumption at a time.

use super::markdown;
use crate::{
    LIKE_8B, LIKE_70B, Overheads, Pass, TYPICAL,
    cluster::Cluster,
    limits::{limit, median},
    projection::{SEEDS, outcomes},
    study::Study,
    units,
};

/// A change of one assumption.
type Change = (&'static str, fn(&mut Study, &mut Cluster));

/// The changes, in the order of the table. The first changes nothing.
const CHANGES: [Change; 13] = [
    ("nothing", |_, _| ()),
    ("four shards for each node", |_, cluster| cluster.shards_per_node = 4),
    ("the heavy tail", |_, cluster| cluster.tail_share = TYPICAL.tail_share),
    ("the heavy tail, and four shards for each node", |_, cluster| {
        cluster.tail_share = TYPICAL.tail_share;
        cluster.shards_per_node = 4;
    }),
    ("1,000 metadata operations a second", |_, cluster| cluster.metadata_rate = 1000.0),
    ("bandwidth 2 GB/s", |_, cluster| cluster.bandwidth = 2e9),
    ("weights on disks of the nodes", |_, cluster| cluster.local_weights = true),
    ("starts spread over 5 minutes", |_, cluster| cluster.stagger_seconds = 300.0),
    ("failures every 72 h", |_, cluster| cluster.hours_between_failures = 72.0),
    ("estimates off by 0.5", |_, cluster| cluster.estimate_deviation = 0.5),
    ("200 contexts", |study, _| study.contexts = 200),
    ("20,000 contexts", |study, _| study.contexts = 20_000),
    ("nodes ten times as fast", |_, cluster| cluster.cores *= 10.0),
];

/// Returns the makespan of 1,000 nodes and its limit for every change.
pub(super) fn table(cluster: &Cluster, overheads: &Overheads) -> String {
    let cases = [(LIKE_8B, 32_768.0), (LIKE_70B, 4096.0), (LIKE_70B, 131_072.0)];
    // The tail of slow nodes hides the effect of every other change.
    let even = Cluster { tail_share: 0.0, ..*cluster };
    let rows = CHANGES.iter().map(|(name, change)| {
        let mut row = vec![name.to_string()];
        for (shape, tokens) in cases {
            let (mut study, mut cluster) = (Study::new(shape, tokens, Pass::None), even);
            change(&mut study, &mut cluster);
            row.push(cell(&study, &cluster, overheads));
        }
        row
    });
    markdown(&["change", "8B-like, 32k", "70B-like, 4k", "70B-like, 128k"], rows)
}

fn cell(study: &Study, cluster: &Cluster, overheads: &Overheads) -> String {
    const NODES: usize = 1000;
    let (job, outcomes) = outcomes(study, cluster, overheads, NODES);
    let makespan = median(outcomes.iter().map(|outcome| outcome.makespan).collect());
    let efficiency = job.single_seconds() / (NODES as f64 * makespan);
    let limit =
        limit(&job, cluster, overheads, NODES, &SEEDS).map_or("no single cause", |(cause, _)| cause.name());
    format!("{}, {}, {limit}", units::seconds(makespan), units::percent(efficiency))
}
