//! The sweep that is projected: how many contexts and cells, and what each context costs on a node.

use bitkv_stats::Rng;

use crate::{Overheads, Pass, Shape, cluster::Cluster, speed::Speed};

/// The texts and their tokens that are read to calibrate heads.
const CALIBRATION: (f64, f64) = (22.0, 512.0);
/// The most cells in a batch.
const CELLS_OF_A_BATCH: f64 = 16.0;

/// A sweep over contexts of about one length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Study {
    /// The shape of the model.
    pub shape: Shape,
    /// The tokens of the longest contexts. Others have 0.8 to 1 times as many.
    pub tokens: f64,
    /// Contexts.
    pub contexts: usize,
    /// Cells for each context: policies times budgets.
    pub cells: f64,
    /// Tokens that are read after eviction.
    pub scored: f64,
    /// The mean share of the cache that cells keep.
    pub kept: f64,
    /// What the run does with snapshots.
    pub pass: Pass,
}

impl Study {
    /// Returns the sweep of the projections: 2,000 contexts, 15 policies by 6 budgets.
    pub fn new(shape: Shape, tokens: f64, pass: Pass) -> Study {
        Study { shape, tokens, contexts: 2000, cells: 90.0, scored: 128.0, kept: 0.4, pass }
    }

    /// Returns the bytes of all snapshots, if every context had the largest.
    pub fn snapshot_bytes(&self, overheads: &Overheads) -> f64 {
        self.contexts as f64 * snapshot_bytes(&self.shape, self.tokens, overheads)
    }
}

/// Returns the bytes of the snapshot of a context of `tokens` tokens.
pub fn snapshot_bytes(shape: &Shape, tokens: f64, overheads: &Overheads) -> f64 {
    shape.entries(tokens) * (shape.entry_bytes() + overheads.observation_bytes)
}

/// What one context costs on an undisturbed node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContextCost {
    /// Seconds of the prefill.
    pub prefill_seconds: f64,
    /// Seconds of all cells.
    pub cells_seconds: f64,
    /// The number of batches of cells. A failure loses the batch in progress.
    pub batches: f64,
    /// Bytes of the snapshot.
    pub snapshot_bytes: f64,
}

impl ContextCost {
    /// Returns the seconds of computing.
    pub fn seconds(&self) -> f64 {
        self.prefill_seconds + self.cells_seconds
    }
}

/// What a sweep costs, as the simulation needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The contexts in the order of the run.
    pub contexts: Vec<ContextCost>,
    /// Seconds of a start on an undisturbed node, calibration included.
    pub start_seconds: f64,
    /// Bytes of weights that a start reads.
    pub weight_bytes: f64,
    /// Metadata operations of a shard.
    pub shard_operations: f64,
    /// Metadata operations of a context.
    pub context_operations: f64,
    /// Rows of the whole run.
    pub rows: f64,
    /// What the run does with snapshots.
    pub pass: Pass,
}

impl Job {
    /// Returns the costs of a study on a node of a cluster. `seed` decides the lengths of the contexts.
    pub fn new(study: &Study, cluster: &Cluster, overheads: &Overheads, seed: u64) -> Job {
        let shape = &study.shape;
        let speed = Speed::on_node(shape, cluster.cores, overheads.entry_seconds);
        let mut rng = Rng::for_part(seed, u64::MAX);
        let context = |tokens: f64| ContextCost {
            prefill_seconds: speed.prefill_seconds(shape, tokens),
            cells_seconds: study.cells * speed.cell_seconds(shape, tokens, study.scored, study.kept),
            batches: (study.cells / CELLS_OF_A_BATCH).ceil(),
            snapshot_bytes: snapshot_bytes(shape, tokens, overheads),
        };
        let (texts, tokens) = CALIBRATION;
        Job {
            contexts: (0..study.contexts).map(|_| context(study.tokens * (0.8 + 0.2 * rng.unit()))).collect(),
            start_seconds: overheads.start_seconds + texts * speed.prefill_seconds(shape, tokens),
            weight_bytes: shape.weight_bytes(),
            shard_operations: overheads.shard_operations,
            context_operations: overheads.context_operations[study.pass as usize],
            rows: study.contexts as f64 * study.cells,
            pass: study.pass,
        }
    }

    /// Returns the seconds of the whole run as one process on one undisturbed node that has the weights in
    /// memory. Prefills are not computed if snapshots are read.
    pub fn single_seconds(&self) -> f64 {
        let prefill = if self.pass == Pass::Read { 0.0 } else { 1.0 };
        let seconds = |context: &ContextCost| prefill * context.prefill_seconds + context.cells_seconds;
        self.start_seconds + self.contexts.iter().map(seconds).sum::<f64>()
    }

    /// Returns the same work as contexts that are `parts` times as many and as much smaller.
    pub fn split(&self, parts: usize) -> Job {
        let divisor = parts as f64;
        let part = |context: &ContextCost| ContextCost {
            prefill_seconds: context.prefill_seconds / divisor,
            cells_seconds: context.cells_seconds / divisor,
            batches: context.batches,
            snapshot_bytes: context.snapshot_bytes / divisor,
        };
        Job {
            contexts: self.contexts.iter().flat_map(|context| vec![part(context); parts]).collect(),
            context_operations: self.context_operations / divisor,
            ..self.clone()
        }
    }
}
