//! The texts of the scripts.

mod array;
mod merge;

pub use array::array_script;
pub use merge::merge_script;

use crate::Submission;

/// Returns the name of a job: `bitkv-NAME`, in characters that need no quotes in any list.
fn job_name(submission: &Submission, prefix: &str) -> String {
    let name = submission.layout.out().file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{prefix}-{}", name.chars().map(plain).collect::<String>())
}
