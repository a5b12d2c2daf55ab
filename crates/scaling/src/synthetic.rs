//! Points of a made-up machine, for tests of fits and predictions.

use bitkv_stats::Rng;

use crate::{
    Shape, Work,
    assign::assign,
    model::{ASSUMED, ShardCost},
    point::{Pass, Point, Step},
    shape::{TINY_GQA, TINY_MHA},
};

/// The coefficients of the machine, in the units of [`crate::model::NAMES`].
pub(crate) const TRUE: ShardCost = ShardCost([0.8, 0.004, 0.006, 0.02, 0.002, 0.1, 0.005, 3.0, 1.5]);
/// The bytes of an observation for each entry.
pub(crate) const OBSERVATION_BYTES: f64 = 40.0;
/// The calls on files of a shard without contexts.
pub(crate) const SHARD_OPERATIONS: f64 = 310.0;
/// The calls on files for each context.
pub(crate) const CONTEXT_OPERATIONS: f64 = 7.0;

/// Returns the points of all passes with 1, 2, 4 and 8 shards. Seconds are multiplied by a random factor
/// whose logarithm has the standard deviation `noise`.
pub(crate) fn points(noise: f64) -> Vec<Point> {
    let contexts = contexts();
    let costs: Vec<f64> = contexts.iter().map(Work::ops).collect();
    let mut rng = Rng::new(7);
    let mut points = Vec::new();
    for shards in [1, 2, 4, 8] {
        let owners = assign(&costs, shards);
        for pass in Pass::ALL {
            for (shard, mine) in owners.iter().enumerate() {
                let mut work = Work::default();
                mine.iter().for_each(|i| work += contexts[*i]);
                points.push(shard_point(work, pass, shards, shard, noise, &mut rng));
            }
            points.push(merge_point(&contexts, pass, shards));
        }
    }
    points
}

/// Texts of one length and questions of others, so that linear and quadratic costs differ.
fn contexts() -> Vec<Work> {
    let mut rng = Rng::new(3);
    let mut contexts = Vec::new();
    for shape in [TINY_MHA, TINY_GQA] {
        for i in 0..22 {
            let tokens = if i < 12 { 896.0 } else { 128.0 + 40.0 * rng.below(10) as f64 };
            contexts.push(context(&shape, tokens, if i < 12 { 127.0 } else { 80.0 }, 9.0 + f64::from(i % 4)));
        }
    }
    contexts
}

fn context(shape: &Shape, tokens: f64, scored: f64, cells: f64) -> Work {
    let mut work = Work {
        contexts: 1.0,
        rows: cells,
        prefilled_tokens: tokens,
        scored_tokens: cells * scored,
        prefill_ops: tokens * shape.linear_ops(),
        prefill_attention_ops: shape.prefill_attention_ops(tokens),
        cell_ops: cells * scored * (shape.linear_ops() + shape.lm_head_ops()),
        cell_attention_ops: cells * scored * shape.attention_ops(0.4 * shape.entries(tokens)),
        planned_entries: cells * shape.entries(tokens),
        longest_ops: 0.0,
        entries: shape.entries(tokens),
        cache_bytes: shape.cache_bytes(tokens),
    };
    work.longest_ops = work.ops();
    work
}

fn point(work: Work, pass: Pass, step: Step, shards: usize, shard: usize) -> Point {
    Point {
        machine: "made up".to_owned(),
        cores: 2.0,
        pass,
        step,
        shards,
        shard,
        wall_seconds: 0.0,
        user_seconds: 0.0,
        system_seconds: 0.0,
        peak_kib: 0.0,
        snapshot_bytes: 0.0,
        file_operations: None,
        work,
    }
}

fn shard_point(work: Work, pass: Pass, shards: usize, shard: usize, noise: f64, rng: &mut Rng) -> Point {
    let mut point = point(work, pass, Step::Shard, shards, shard);
    if pass != Pass::None {
        point.snapshot_bytes = work.cache_bytes + OBSERVATION_BYTES * work.entries;
    }
    point.file_operations = Some(SHARD_OPERATIONS + CONTEXT_OPERATIONS * work.contexts);
    let mut noisy = |seconds: f64| seconds * (noise * f64::from(rng.normal())).exp();
    point.wall_seconds = noisy(TRUE.seconds(&point, true));
    point.user_seconds = noisy(1.9 * TRUE.seconds(&point, false));
    point
}

fn merge_point(contexts: &[Work], pass: Pass, shards: usize) -> Point {
    let mut work = Work::default();
    contexts.iter().for_each(|context| work += *context);
    let mut point = point(work, pass, Step::Merge, shards, 0);
    point.wall_seconds = ASSUMED.merge.seconds(work.rows, shards as f64);
    point.user_seconds = point.wall_seconds;
    point
}
