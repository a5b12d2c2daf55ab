//! Every file format the suite reads or writes about experiments, one module a format.
//!
//! Readers are strict: an unknown key, a missing column, a value out of range or a summary that does not follow
//! from its data is refused with one sentence naming the file and the value. What was written reads back equal.

mod asked_budget;
mod definition;
mod error;
mod folder;
mod grid_axes;
mod grid_row;
mod hash;
mod head_class;
mod journal;
mod json;
mod loss;
mod manifest;
mod measurement;
mod overlap;
mod plan_export;
mod policy_text;
mod profile;
mod published_profile;
mod published_rule;
mod resumable;
mod rows;
mod scored_task;
mod skeleton;
mod suggestion;
mod texts;
mod throughput;
mod timestamp;
mod timing_row;
mod verification;
mod when;

pub use asked_budget::AskedBudget;
pub use definition::{Calibration, Definition, Experiment, GridTask, ProfileStudy, TextSource};
pub use error::RecordError;
pub use folder::RunFolder;
pub use grid_axes::{Equal, Form, KvFormat, Metric, Named, Positions, TaskKind};
pub use grid_row::{GridRow, one_line};
pub use hash::{FileHash, sha256, sha256_file, sha256_of_parts};
pub use head_class::{ClassCounts, HeadClass, Thresholds};
pub use journal::Journal;
pub use loss::LossRow;
pub use manifest::{Machine, Manifest, ModelEntry};
pub use measurement::{Accounting, CellRow, HeadRow, MemoryRow, Task};
pub use plan_export::{PlanExport, ShareExport};
pub use policy_text::{PolicyPart, PolicyText};
pub use profile::{Profile, ProfileHead, ProfileSummary};
pub use published_profile::{HeadKey, PublishedProfile, PublishedShape, PublishedStats, PublishedTypes};
pub use published_rule::PublishedRule;
pub use resumable::ResumableRun;
pub use rows::{Row, has_rows, read_rows, write_rows};
pub use scored_task::ScoredTask;
pub use skeleton::{
    Difference, Expectation, Mistakes, ProfileDifference, ProfileReading, Reading, SkeletonComparison,
    SkeletonPair, SkeletonWeights, Spread,
};
pub use texts::{MANIFEST_FILE, Split, Text, TextEntry, Texts, TextsError};
pub use throughput::{
    Ceilings, FitPoint, MemoryUse, Method, ModelShape, PrefillFit, Range, Throughput, ThroughputRow, Timed,
    Versions,
};
pub use timestamp::rfc3339;
pub use timing_row::TimingRow;
pub use verification::{Claim, ClaimId, Role, Statement, Verdict, Verification, verdict};
pub use when::When;
