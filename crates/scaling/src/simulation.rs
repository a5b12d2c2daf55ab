//! A discrete-event simulation of a sharded run.

mod node;

use std::{cmp::Reverse, collections::BinaryHeap};

use bitkv_stats::Rng;

use crate::{
    Overheads, Pass, assign::assign, bandwidth::Bandwidth, cluster::Cluster, metadata::Metadata, study::Job,
    time::Time,
};
use node::{Node, Stage};

/// The part of the metadata operations of a shard that happens at its start; the rest happens at its end.
const OPERATIONS_AT_START: f64 = 0.6;

/// What a simulated run took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Seconds from the submission to the end of the merge.
    pub makespan: f64,
    /// Seconds of the merge.
    pub merge_seconds: f64,
    /// Failures of nodes.
    pub failures: u32,
    /// Shards without a context.
    pub empty_shards: usize,
}

/// Simulates a run on `nodes` nodes. The same seed gives the same outcome.
///
/// Every node has random numbers of its own, so that two clusters can be compared with the same luck.
pub fn simulate(job: &Job, cluster: &Cluster, overheads: &Overheads, nodes: usize, seed: u64) -> Outcome {
    let mut run = Run::new(job, cluster, nodes, seed);
    let end = run.finish();
    let (empty_shards, shards) = (run.empty_shards, nodes * cluster.shards_per_node);
    let merge_seconds = overheads.merge.seconds(job.rows, shards as f64);
    Outcome { makespan: end + merge_seconds, merge_seconds, failures: run.failures, empty_shards }
}

/// What happens to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Its stage ends.
    Ends,
    /// It fails.
    Fails,
}

struct Run<'a> {
    job: &'a Job,
    cluster: &'a Cluster,
    nodes: Vec<Node>,
    metadata: Metadata,
    bandwidth: Bandwidth,
    /// Events by their second; an event of an earlier attempt is outdated.
    events: BinaryHeap<Reverse<(Time, usize, u32, Event)>>,
    failures: u32,
    /// The contexts of shards that no node has started; the next one is last.
    waiting: Vec<Vec<usize>>,
    empty_shards: usize,
    /// Nodes that still work.
    left: usize,
}

impl<'a> Run<'a> {
    fn new(job: &'a Job, cluster: &'a Cluster, nodes: usize, seed: u64) -> Run<'a> {
        let mut errors = Rng::for_part(seed, u64::MAX - 1);
        let estimates: Vec<f64> = job
            .contexts
            .iter()
            .map(|context| {
                context.seconds() * (cluster.estimate_deviation * f64::from(errors.normal())).exp()
            })
            .collect();
        let mut shards = assign(&estimates, nodes * cluster.shards_per_node);
        let empty_shards = shards.iter().filter(|contexts| contexts.is_empty()).count();
        let mut waiting = shards.split_off(nodes);
        waiting.reverse();
        let nodes: Vec<Node> = shards
            .into_iter()
            .enumerate()
            .map(|(i, contexts)| Node::new(contexts, Rng::for_part(seed, i as u64)))
            .collect();
        Run {
            left: nodes.len(),
            job,
            cluster,
            nodes,
            metadata: Metadata::new(cluster.metadata_rate, cluster.metadata_latency),
            bandwidth: Bandwidth::new(cluster.bandwidth, cluster.node_bandwidth),
            events: BinaryHeap::new(),
            failures: 0,
            waiting,
            empty_shards,
        }
    }

    /// Runs until every shard is finished. Returns the second at which the last one is.
    fn finish(&mut self) -> f64 {
        for i in 0..self.nodes.len() {
            let start = self.nodes[i].start_after(self.cluster);
            self.events.push(Reverse((Time(start), i, 0, Event::Ends)));
        }
        let mut now = 0.0;
        while self.left > 0 {
            let transfer = self.bandwidth.next_end();
            let event = self.events.peek().map(|Reverse((time, ..))| time.0);
            match (transfer, event) {
                (Some(end), other) if other.is_none_or(|other| end <= other) => {
                    now = end;
                    if let Some(node) = self.bandwidth.finish(now) {
                        self.stage_ends(now, node);
                    }
                }
                (_, Some(_)) => {
                    if let Some(Reverse((time, node, attempt, event))) = self.events.pop()
                        && attempt == self.nodes[node].attempt
                        && self.nodes[node].stage != Stage::Done
                    {
                        now = time.0;
                        match event {
                            Event::Ends => self.stage_ends(now, node),
                            Event::Fails => self.fails(now, node),
                        }
                    }
                }
                _ => break,
            }
        }
        now
    }

    fn stage_ends(&mut self, now: f64, i: usize) {
        if self.nodes[i].stage == Stage::Queue {
            let failure = now + self.nodes[i].lifetime(self.cluster);
            if failure.is_finite() {
                self.events.push(Reverse((Time(failure), i, self.nodes[i].attempt, Event::Fails)));
            }
        }
        let stage = self.nodes[i].next_stage();
        self.enter(now, i, stage);
    }

    /// Starts a stage and plans its end. Stages that have nothing to do end at once.
    fn enter(&mut self, now: f64, i: usize, stage: Stage) {
        let node = &mut self.nodes[i];
        node.stage = stage;
        node.stage_began = now;
        let context = node.contexts.get(node.next).map(|c| &self.job.contexts[*c]);
        let computes = |seconds: f64| Some(now + seconds * node.slowdown);
        let cost = |of: fn(&crate::study::ContextCost) -> f64| context.map_or(0.0, of);
        let writes = self.job.pass == Pass::Write;
        let saves = writes && !node.past_prefill;
        let loads = self.job.pass == Pass::Read || writes && node.past_prefill;
        let (ends, bytes) = match stage {
            Stage::Queue => (None, 0.0),
            Stage::Open => {
                (Some(self.metadata.request(now, OPERATIONS_AT_START * self.job.shard_operations)), 0.0)
            }
            Stage::Weights if self.cluster.local_weights => (Some(now), 0.0),
            Stage::Weights => (None, self.job.weight_bytes),
            Stage::Start => (computes(self.job.start_seconds), 0.0),
            Stage::Look => (Some(self.metadata.request(now, self.job.context_operations)), 0.0),
            Stage::Prefill if loads => (None, cost(|c| c.snapshot_bytes)),
            Stage::Prefill => (computes(cost(|c| c.prefill_seconds)), 0.0),
            Stage::Save if saves => (None, cost(|c| c.snapshot_bytes)),
            Stage::Save => (Some(now), 0.0),
            Stage::Cells => (computes((1.0 - node.journaled) * cost(|c| c.cells_seconds)), 0.0),
            Stage::Close => (
                Some(self.metadata.request(now, (1.0 - OPERATIONS_AT_START) * self.job.shard_operations)),
                0.0,
            ),
            Stage::Done => {
                match self.waiting.pop() {
                    Some(contexts) => {
                        node.begin_shard(contexts);
                        self.enter(now, i, Stage::Open);
                    }
                    None => self.left -= 1,
                }
                return;
            }
        };
        match ends {
            Some(end) => self.events.push(Reverse((Time(end), i, node.attempt, Event::Ends))),
            None => self.bandwidth.start(now, i, node.attempt, bytes),
        }
    }

    /// Ends an attempt. The journal keeps finished batches, and a snapshot keeps the prefill.
    fn fails(&mut self, now: f64, i: usize) {
        self.failures += 1;
        let node = &mut self.nodes[i];
        self.bandwidth.abort(now, i, node.attempt);
        if node.stage == Stage::Cells
            && let Some(context) = node.contexts.get(node.next).map(|c| &self.job.contexts[*c])
        {
            node.journal(now, context);
        }
        let again = node.restart_after(self.cluster);
        self.events.push(Reverse((Time(now + again), i, node.attempt, Event::Ends)));
    }
}

#[cfg(test)]
mod tests;
