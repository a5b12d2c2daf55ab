//! The file formats of experiments: what the suite reads before a run and writes during and after it.
//!
//! A researcher writes a [`Definition`] (TOML). A run measures its cells and appends each one as a
//! [`GridRow`] to a [`Journal`] in a [`ResumableRun`], which becomes a finished folder with `rows.csv` and a
//! [`Manifest`]. Profiles of attention heads are a [`Profile`] (JSON). [`Texts`] are the input of all
//! measurements.
//!
//! Readers are strict. An unknown key, a missing required column, a value out of range, or a summary that
//! does not follow from its data is an error: one sentence that names the file and the value. Missing
//! optional columns are read as empty, and unknown columns are ignored with a note, so that files of other
//! versions stay readable. Every value that is written reads back equal.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod asked_budget;
mod axes;
mod column;
mod content_error;
mod context_row;
mod definition;
mod definition_error;
mod error;
mod field;
mod folder;
mod gap;
mod grid_row;
mod hash;
mod head_class;
mod head_row;
#[allow(clippy::disallowed_methods, reason = "a journal is a file of this program")]
mod journal;
mod json;
mod line_error;
mod listed;
mod manifest;
mod memory_row;
mod names;
mod one_line;
mod overlap;
mod plan_export;
mod policy_text;
mod profile;
mod profile_file;
mod published_profile;
mod raw_rows;
#[allow(clippy::disallowed_methods, reason = "a run folder is of this program")]
mod resumable;
mod row_error;
mod rows;
mod rule_name;
mod run_lock;
mod scored_task;
mod shard;
mod texts;
mod throughput;
mod timestamp;
mod timing_row;
mod units;
mod value_error;
mod when;

pub use asked_budget::AskedBudget;
pub use axes::{Axes, AxisLists};
pub use column::{Column, Measure};
pub use content_error::ContentError;
pub use context_row::ContextRow;
pub use definition::{
    CalibrationSettings, Definition, Draft, EXAMPLE, Equivalence, Experiment, GridTask, ListedModel,
    MemoryStudy, ProfileStudy, TextSource,
};
pub use definition_error::DefinitionError;
pub use error::RecordError;
pub use field::Field;
pub use folder::{free_name, is_unfinished};
pub use gap::Gap;
pub use grid_row::GridRow;
pub use hash::{FileHash, Hasher, sha256, sha256_file, sha256_of_parts};
pub use head_class::{ClassCounts, Thresholds};
pub use head_row::HeadRow;
pub use journal::Journal;
pub use line_error::{HeaderError, LineError};
pub use listed::listed;
pub use manifest::{Machine, Manifest, ModelEntry};
pub use memory_row::MemoryRow;
pub use names::{
    Accounting, Arithmetic, Better, ClaimId, Compressor, Equal, Form, HeadClass, IsaClass, KvFormat,
    MeasureUnit, MetricGroup, Named, PolicyRole, Positions, Queries, Split, TaskKind, Timed, WeightKind,
};
pub use one_line::{one_line, shown};
pub use plan_export::{PlanExport, ShareExport};
pub use policy_text::{PolicyPart, PolicyText};
pub use profile::{Profile, ProfileHead, ProfileSummary};
pub use profile_file::ProfiledModel;
pub use published_profile::{HeadKey, PublishedProfile, PublishedShape, PublishedStats, PublishedTypes};
pub use raw_rows::RawRows;
pub use resumable::{ResumableRun, unfinished_rows};
pub use row_error::RowError;
pub use rows::{FORMAT, Row, check_row, has_rows, header, read_rows, read_rows_noting, write_rows};
pub use rule_name::RuleName;
pub use scored_task::ScoredTask;
pub use shard::{Shard, ShardEntry, ShardError};
pub use texts::{MANIFEST_FILE, Text, TextEntry, Texts, TextsError};
pub use throughput::{
    Ceilings, FitPoint, MemoryUse, Method, ModelShape, PrefillFit, Range, Throughput, ThroughputRow, Versions,
};
pub use timestamp::rfc3339;
pub use timing_row::TimingRow;
pub use units::parse_bytes;
pub use value_error::ValueError;
pub use when::When;
