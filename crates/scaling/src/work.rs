//! The work of a shard: how much is read, computed and stored.

use std::ops::AddAssign;

use serde::Deserialize;

/// The work of some contexts. All numbers are sums, except `longest_ops`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
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

/// The name of a column and its value.
type WorkColumn = (&'static str, fn(&Work) -> f64);

impl Work {
    /// The columns of a point that [`count`](fn@crate::count) fills, with their values, in the order of the
    /// file.
    const COLUMNS: [WorkColumn; 12] = [
        ("contexts", |work| work.contexts),
        ("rows", |work| work.rows),
        ("prefilled_tokens", |work| work.prefilled_tokens),
        ("scored_tokens", |work| work.scored_tokens),
        ("prefill_ops", |work| work.prefill_ops),
        ("prefill_attention_ops", |work| work.prefill_attention_ops),
        ("cell_ops", |work| work.cell_ops),
        ("cell_attention_ops", |work| work.cell_attention_ops),
        ("planned_entries", |work| work.planned_entries),
        ("longest_ops", |work| work.longest_ops),
        ("entries", |work| work.entries),
        ("cache_bytes", |work| work.cache_bytes),
    ];

    /// Returns the names of the columns as one line of CSV without a line end.
    pub fn header() -> String {
        Work::COLUMNS.map(|(name, _)| name).join(",")
    }

    /// Returns the values of the columns as one line of CSV without a line end.
    pub fn line(&self) -> String {
        Work::COLUMNS.map(|(_, value)| value(self).to_string()).join(",")
    }

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
