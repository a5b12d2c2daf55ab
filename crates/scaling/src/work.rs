//! The work of a shard: how much is read, computed and stored.

use std::ops::AddAssign;

/// The work of some contexts. All numbers are sums, except `longest_ops`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Contexts.
    pub contexts: f64,
    /// Rows.
    pub rows: f64,
    /// Tokens of all contexts.
    pub prefilled_tokens: f64,
    /// Tokens that are read after eviction, over all cells.
    pub scored_tokens: f64,
    /// Operations of the linear layers in all prefills.
    pub prefill_ops: f64,
    /// Operations of attention in all prefills.
    pub prefill_attention_ops: f64,
    /// Operations of the linear layers and the LM head in all cells.
    pub cell_ops: f64,
    /// Operations of attention over kept entries in all cells.
    pub cell_attention_ops: f64,
    /// Entries of the full cache, once for each cell: what plans read and copies of caches come from.
    pub planned_entries: f64,
    /// All operations of the context that needs most. Two threads cannot share it.
    pub longest_ops: f64,
    /// Entries of all full caches, over layers and KV heads.
    pub entries: f64,
    /// Bytes of all full caches in f16.
    pub cache_bytes: f64,
}

impl Work {
    /// Returns the operations of all prefills and cells.
    pub fn ops(&self) -> f64 {
        self.prefill_ops + self.prefill_attention_ops + self.cell_ops + self.cell_attention_ops
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        self.contexts += other.contexts;
        self.rows += other.rows;
        self.prefilled_tokens += other.prefilled_tokens;
        self.scored_tokens += other.scored_tokens;
        self.prefill_ops += other.prefill_ops;
        self.prefill_attention_ops += other.prefill_attention_ops;
        self.cell_ops += other.cell_ops;
        self.cell_attention_ops += other.cell_attention_ops;
        self.planned_entries += other.planned_entries;
        self.longest_ops = self.longest_ops.max(other.longest_ops);
        self.entries += other.entries;
        self.cache_bytes += other.cache_bytes;
    }
}
