use super::*;
use crate::{
    cluster::TYPICAL,
    model::ASSUMED,
    shape::BITNET_2B,
    study::{ContextCost, Study},
};

/// A cluster without delays, stragglers, failures or limits.
pub(crate) const IDEAL: Cluster = Cluster {
    queue_seconds: 0.0,
    slowdown_deviation: 0.0,
    tail_share: 0.0,
    hours_between_failures: f64::INFINITY,
    estimate_deviation: 0.0,
    metadata_rate: f64::INFINITY,
    metadata_latency: 0.0,
    bandwidth: 1e18,
    node_bandwidth: 1e18,
    local_weights: true,
    ..TYPICAL
};

fn job(contexts: usize, pass: Pass) -> Job {
    let context =
        ContextCost { prefill_seconds: 30.0, cells_seconds: 60.0, batches: 6.0, snapshot_bytes: 1e9 };
    Job {
        contexts: vec![context; contexts],
        start_seconds: 10.0,
        weight_bytes: 1e9,
        shard_operations: 100.0,
        context_operations: 10.0,
        rows: 1000.0,
        pass,
    }
}

fn run(job: &Job, cluster: &Cluster, nodes: usize) -> Outcome {
    simulate(job, cluster, &ASSUMED, nodes, 1)
}

#[test]
fn an_ideal_cluster_divides_the_work() {
    let job = job(8, Pass::None);
    let seconds = |nodes| {
        let outcome = run(&job, &IDEAL, nodes);
        outcome.makespan - outcome.merge_seconds
    };
    assert_eq!(seconds(1), job.single_seconds());
    assert_eq!(seconds(4), 10.0 + 2.0 * 90.0);
    // Eight contexts cannot use more than eight nodes.
    assert_eq!(seconds(8), seconds(80));
    assert_eq!(run(&job, &IDEAL, 80).empty_shards, 72);
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let study = Study::new(BITNET_2B, 4096.0, Pass::Write);
    let job = Job::new(&study, &TYPICAL, &ASSUMED, 5);
    let run = |seed| simulate(&job, &TYPICAL, &ASSUMED, 30, seed);
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn transfers_wait_for_the_file_system() {
    let cluster = Cluster { bandwidth: 1e9, node_bandwidth: 1e9, ..IDEAL };
    let written = run(&job(8, Pass::Write), &cluster, 8);
    let none = run(&job(8, Pass::None), &cluster, 8);
    // Eight nodes write a snapshot of 1 GB each through 1 GB/s.
    assert!((written.makespan - none.makespan - 8.0).abs() < 1e-6);
}

#[test]
fn a_metadata_storm_delays_the_start() {
    let cluster = Cluster { metadata_rate: 100.0, ..IDEAL };
    let seconds =
        run(&job(100, Pass::None), &cluster, 100).makespan - run(&job(100, Pass::None), &IDEAL, 100).makespan;
    // 100 nodes need 60 operations each to open, at 100 a second.
    assert!(seconds >= 60.0, "{seconds}");
}

#[test]
fn failures_cost_no_more_than_a_batch_and_a_prefill() {
    let job = job(2000, Pass::None);
    let cluster = Cluster { hours_between_failures: 1.0, requeue_seconds: 100.0, ..IDEAL };
    let outcome = run(&job, &cluster, 1);
    let lost = outcome.makespan - outcome.merge_seconds - job.single_seconds();
    // A failure loses the delay, a start, and at most a batch of 10 and a prefill of 30 seconds.
    let failures = f64::from(outcome.failures);
    assert!(failures > 20.0);
    assert!(lost >= 100.0 * failures && lost <= (100.0 + 10.0 + 10.0 + 30.0) * failures, "{lost} {failures}");
}

#[test]
fn a_snapshot_saves_the_prefill_after_a_failure() {
    let cluster = Cluster { hours_between_failures: 0.1, requeue_seconds: 1.0, ..IDEAL };
    let seconds = |pass| run(&job(500, pass), &cluster, 1).makespan;
    assert!(seconds(Pass::Write) < seconds(Pass::None));
}

#[test]
fn stragglers_make_runs_longer() {
    let cluster = Cluster { slowdown_deviation: 0.2, tail_share: 0.05, ..IDEAL };
    assert!(
        run(&job(400, Pass::None), &cluster, 100).makespan > run(&job(400, Pass::None), &IDEAL, 100).makespan
    );
}

#[test]
fn several_shards_for_each_node_even_out_stragglers() {
    let slow = Cluster { slowdown_deviation: 0.5, ..IDEAL };
    let seconds =
        |shards_per_node| run(&job(800, Pass::None), &Cluster { shards_per_node, ..slow }, 100).makespan;
    assert!(seconds(4) < 0.8 * seconds(1));
}
