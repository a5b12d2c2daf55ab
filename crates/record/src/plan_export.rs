//! What an engine needs to evict as a plan says: how many tokens each KV head may hold, and which.

use crate::{RecordError, json};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KIND: &str = "exported plan";

/// Budgets of every KV head of a model, under the names of the published configuration format where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanExport {
    /// Model name.
    pub model: String,
    /// The policy, every option written out.
    pub policy: String,
    /// Part of the cache kept, 0..1.
    pub budget: f64,
    /// Tokens of the context that was planned for.
    pub tokens: usize,
    /// Layers.
    pub n_layer: usize,
    /// Query heads a layer.
    pub n_head: usize,
    /// KV heads a layer.
    pub n_head_kv: usize,
    /// Every KV head, layer by layer.
    pub heads: Vec<ShareExport>,
}

/// One KV head's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareExport {
    /// Layer, from 0.
    pub layer: usize,
    /// KV head, from 0.
    pub kv_head: usize,
    /// Tokens that it keeps.
    pub budget: usize,
    /// Their positions, ascending; none where only budgets are planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<u32>,
}

impl PlanExport {
    /// Writes the plan as indented JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        json::write_text(path, &json::render(self, &path.display().to_string(), KIND)?)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// When the file cannot be read, or is not such a plan.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        json::parse(&json::read_text(path)?, &path.display().to_string(), KIND)
    }
}
