//! The published claims: functions from rows to statements to verdicts.
//!
//! A claim is taken apart into statements that the rows of a run decide. Before that its instrument is checked, in
//! the module `instrument`: on a model that does not predict better than guessing, no statement about compression
//! means anything, and the verdict says so.

mod cells;
mod claim;
mod compression;
mod heads;
mod instrument;
mod memory;
mod plain_llama;
#[cfg(test)]
mod tests;
mod words;

use bitkv_record::ClaimId;
use serde::Serialize;

use crate::Run;

pub use crate::verdict::Verdict;
pub use claim::{Claim, Statement, StatementRole, verdict};

/// `verification.json`: the published claims, what was measured, and whether each holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// The claims, each with its verdict.
    pub claims: Vec<Claim>,
    /// Models measured.
    pub models: Vec<String>,
    /// The run folder, where there is one.
    pub run: Option<String>,
}

impl Verification {
    /// The document as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The claims that the definition asks for, in its order.
pub fn all(run: &Run<'_>) -> Vec<Claim> {
    let claim = |id: &ClaimId| match id {
        ClaimId::Memory => memory::claim(run),
        ClaimId::Heads => heads::claim(run),
        ClaimId::Compression => compression::claim(run),
        ClaimId::PlainLlama => plain_llama::claim(run),
    };
    run.definition.claims.iter().map(claim).collect()
}

/// The claims with the models and the folder of a run.
pub fn verification(run: &Run<'_>) -> Verification {
    Verification { claims: all(run), models: models(run), run: run.folder.map(str::to_owned) }
}

/// Names of the models of a run.
pub fn models(run: &Run<'_>) -> Vec<String> {
    run.manifest.models.iter().map(|model| model.name.clone()).collect()
}
