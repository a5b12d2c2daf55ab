//! One node with its shard.

use bitkv_stats::Rng;

use crate::{cluster::Cluster, study::ContextCost};

/// The least and the largest factor of the heavy tail.
const TAIL: (f64, f64) = (1.5, 10.0);

/// What a node does. The stages from `Look` to `Cells` repeat for every context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for the queue.
    Queue,
    /// It opens files.
    Open,
    /// It reads the weights.
    Weights,
    /// It starts and calibrates.
    Start,
    /// It looks for the files of a context.
    Look,
    /// It computes a prefill, or reads its snapshot.
    Prefill,
    /// It writes a snapshot.
    Save,
    /// It measures cells.
    Cells,
    /// It writes the last files and renames the folder.
    Close,
    /// It is finished.
    Done,
}

/// One node with its shard.
pub(super) struct Node {
    /// The contexts of its shard.
    pub(super) contexts: Vec<usize>,
    /// How many contexts are finished.
    pub(super) next: usize,
    /// The share of the cells of the current context that is in the journal.
    pub(super) journaled: f64,
    /// Whether the prefill of the current context was once done. Then its snapshot exists if any is written.
    pub(super) past_prefill: bool,
    /// What it does.
    pub(super) stage: Stage,
    /// The second at which the stage began.
    pub(super) stage_began: f64,
    /// The factor by which it computes more slowly.
    pub(super) slowdown: f64,
    /// How often it was started again.
    pub(super) attempt: u32,
    rng: Rng,
}

impl Node {
    /// Returns a node in the queue.
    pub(super) fn new(contexts: Vec<usize>, rng: Rng) -> Node {
        Node {
            contexts,
            next: 0,
            journaled: 0.0,
            past_prefill: false,
            stage: Stage::Queue,
            stage_began: 0.0,
            slowdown: 1.0,
            attempt: 0,
            rng,
        }
    }

    /// Begins another shard.
    pub(super) fn begin_shard(&mut self, contexts: Vec<usize>) {
        (self.contexts, self.next) = (contexts, 0);
    }

    /// Draws the slow-down, and returns the seconds in the queue.
    pub(super) fn start_after(&mut self, cluster: &Cluster) -> f64 {
        self.draw_slowdown(cluster);
        let (wait, stagger) = (self.exponential(), self.rng.unit());
        cluster.queue_seconds * wait + cluster.stagger_seconds * stagger
    }

    /// Ends the attempt, draws another node, and returns the seconds until it starts.
    pub(super) fn restart_after(&mut self, cluster: &Cluster) -> f64 {
        self.attempt += 1;
        self.stage = Stage::Queue;
        self.draw_slowdown(cluster);
        cluster.requeue_seconds
    }

    /// Returns the seconds until the next failure.
    pub(super) fn lifetime(&mut self, cluster: &Cluster) -> f64 {
        3600.0 * cluster.hours_between_failures * self.exponential()
    }

    fn draw_slowdown(&mut self, cluster: &Cluster) {
        // All numbers are drawn for every cluster, so that clusters differ only in their parameters.
        let (normal, in_tail, pareto) = (f64::from(self.rng.normal()), self.rng.unit(), self.rng.unit());
        self.slowdown = (cluster.slowdown_deviation * normal).exp();
        if in_tail < cluster.tail_share {
            self.slowdown *= (TAIL.0 * (1.0 - pareto).powf(-1.0 / cluster.tail_exponent)).min(TAIL.1);
        }
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.rng.unit()).ln()
    }

    /// Returns the stage after the one that ended, and counts a finished context.
    pub(super) fn next_stage(&mut self) -> Stage {
        let begins = |node: &Node| if node.next < node.contexts.len() { Stage::Look } else { Stage::Close };
        match self.stage {
            Stage::Queue => Stage::Open,
            // A shard without contexts opens no model.
            Stage::Open if self.contexts.is_empty() => Stage::Close,
            Stage::Open => Stage::Weights,
            Stage::Weights => Stage::Start,
            Stage::Start => begins(self),
            Stage::Look => Stage::Prefill,
            Stage::Prefill => Stage::Save,
            Stage::Save => {
                self.past_prefill = true;
                Stage::Cells
            }
            Stage::Cells => {
                self.next += 1;
                (self.journaled, self.past_prefill) = (0.0, false);
                begins(self)
            }
            Stage::Close | Stage::Done => Stage::Done,
        }
    }

    /// Keeps the batches that were finished before the failure at second `now`.
    pub(super) fn journal(&mut self, now: f64, context: &ContextCost) {
        let seconds = context.cells_seconds * self.slowdown;
        if seconds > 0.0 {
            let share = self.journaled + (now - self.stage_began) / seconds;
            self.journaled = ((share * context.batches).floor() / context.batches).min(1.0);
        }
    }
}
