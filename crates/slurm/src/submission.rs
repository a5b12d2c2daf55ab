//! Everything that the scripts of a submission depend on.

use std::path::PathBuf;

use crate::{Layout, Options, Plan};

/// Everything that the scripts of a submission depend on.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The program bitkv that the jobs run.
    pub program: PathBuf,
    /// The folder in which the jobs run, because a definition may name relative paths.
    pub directory: PathBuf,
    /// The definition, absolute or relative to `directory`.
    pub definition: PathBuf,
    /// Where the shards, the scripts and the merged run are.
    pub layout: Layout,
    /// What every shard costs.
    pub plan: Plan,
    /// The numbers of the shards to submit, ascending.
    pub unfinished: Vec<usize>,
    /// What the user chose.
    pub options: Options,
}
