//! The file of an exported plan: how many tokens each KV head keeps, and which ones. An inference engine can
//! read it to evict the other tokens.

use crate::{RecordError, json};
use bitkv_bytes::Existing;
use serde::{Deserialize, Serialize};
use std::path::Path;

const KIND: &str = "exported plan";

/// The budget of every KV head of a model. Keys that also occur in the published configuration format have
/// the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanExport {
    /// The name of the model.
    pub model: String,
    /// The policy with all its options.
    pub policy: String,
    /// The fraction of the cache that is kept, 0..1.
    pub budget: f64,
    /// The number of tokens in the context of the plan.
    pub tokens: usize,
    /// The number of layers.
    pub n_layer: usize,
    /// The number of query heads per layer.
    pub n_head: usize,
    /// The number of KV heads per layer.
    pub n_head_kv: usize,
    /// The KV heads, layer by layer.
    pub heads: Vec<ShareExport>,
}

/// The budget of one KV head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareExport {
    /// The layer, from 0.
    pub layer: usize,
    /// The KV head, from 0.
    pub kv_head: usize,
    /// The number of tokens that it keeps.
    pub budget: usize,
    /// The positions of these tokens, ascending. Empty if only budgets are planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<u32>,
}

impl PlanExport {
    /// Writes the plan as indented JSON.
    ///
    /// # Errors
    /// Fails if the file cannot be written, or if it exists and is kept.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<(), RecordError> {
        json::write_text(path, &json::render(self, &path.display().to_string(), KIND)?, existing)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not an exported plan.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        json::parse(&json::read_text(path, bitkv_bytes::limit::WRITTEN)?, &path.display().to_string(), KIND)
    }
}
