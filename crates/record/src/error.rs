//! Errors of reading and writing recorded files.

use crate::{ContentError, DefinitionError, Gap, HeaderError, LineError, gap::numbered};
use std::path::PathBuf;

/// Why a recorded file could not be read or written. Every message is one sentence that names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file or folder could not be read.
    #[error("cannot read '{}': {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file or folder could not be written.
    #[error("cannot write '{}': {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The text is not JSON, or not the JSON of this format.
    #[error("'{file}' is not a valid {kind} ({source}){}", remedy(.kind))]
    Json {
        /// The file, or how the caller named the text.
        file: String,
        /// The format, for example "run manifest".
        kind: &'static str,
        /// Where in the text and why.
        source: serde_json::Error,
    },
    /// The JSON has the right form, but its values are impossible.
    #[error("'{file}' is not a valid {kind}: {reason}")]
    Content {
        /// The file, or how the caller named the text.
        file: String,
        /// The format, for example "entropy profile".
        kind: &'static str,
        /// The key, its value and what was expected.
        reason: ContentError,
    },
    /// The first line of a CSV file is not the header of its format.
    #[error("the first line of '{}' cannot be read: {reason}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Which column is wrong and why.
        reason: HeaderError,
    },
    /// One line of a CSV file is wrong.
    #[error("'{}', line {line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line. The header is line 1.
        line: u64,
        /// The column, its value and what was expected.
        reason: LineError,
    },
    /// A line of a journal is not the one that this process read or wrote.
    #[error("a line of '{}' was changed during the run ({reason}): run again, and leave the file alone", .path.display())]
    Changed {
        /// The journal.
        path: PathBuf,
        /// What is wrong with the line.
        reason: LineError,
    },
    /// A file is not an entropy profile.
    #[error("{} is not an entropy profile: use a file that `bitkv profile --out` wrote ({source})", .path.display())]
    NoProfile {
        /// The file.
        path: PathBuf,
        /// Where in the text and why.
        source: serde_json::Error,
    },
    /// A profile belongs to another model.
    #[error("{} is a profile of {profile}, not of {model}: use a profile of this model", .path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The model of the profile.
        profile: String,
        /// The model that is run.
        model: String,
    },
    /// A profile belongs to a model with other files.
    #[error(
        "{} was measured with other files than {model} has: measure a profile of this model with `bitkv profile`",
        .path.display()
    )]
    OtherContent {
        /// The file.
        path: PathBuf,
        /// The model that is run.
        model: String,
    },
    /// A profile does not have as many heads as its model.
    #[error("{} has {found} heads, but {model} has {expected}: use a profile of this model", .path.display())]
    Heads {
        /// The file.
        path: PathBuf,
        /// The number of heads in the profile.
        found: usize,
        /// The model that is run.
        model: String,
        /// The number of heads of the model, over all layers.
        expected: usize,
    },
    /// A folder is not a finished run.
    #[error("'{}' is not a finished run: name a folder that `bitkv run`, `bitkv sweep` or `bitkv verify` wrote, with definition.toml, manifest.json and rows.csv in it", .path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is that of a run that was interrupted.
    #[error("'{}' is unfinished: repeat the command `bitkv run`, `bitkv sweep` or `bitkv verify` that began it", .path.display())]
    Unfinished {
        /// The folder that the finished run will have.
        path: PathBuf,
    },
    /// An experiment definition cannot be used.
    #[error("'{file}'{section}: {reason}")]
    Definition {
        /// The file, or how the caller named the text.
        file: String,
        /// The kind and the name of the section, such as `, experiment 'NAME'`; empty if the error concerns
        /// the whole file.
        section: String,
        /// The key, its value and the remedy.
        reason: Box<DefinitionError>,
    },
    /// An experiment definition has several gaps.
    #[error("'{file}' has {} gaps: {}", .gaps.len(), numbered(.gaps))]
    Gaps {
        /// The file, or how the caller named the text.
        file: String,
        /// The gaps, at least two.
        gaps: Vec<Gap>,
    },
    /// A path cannot be the name of a run folder.
    #[error("'{}' cannot name a run folder: give a path that ends in a plain name, such as runs/first", .path.display())]
    RunName {
        /// The path.
        path: PathBuf,
    },
    /// Another process is writing the run.
    #[error("'{}' is being written by {owner}: {remedy}, or give the run another name", .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that writes it.
        owner: String,
        /// What to do about that process.
        remedy: &'static str,
    },
    /// The run is already finished.
    #[error("'{}' already exists and is never overwritten: give the run another name, or move the folder away", .path.display())]
    Finished {
        /// The folder.
        path: PathBuf,
    },
    /// An unfinished run in the same folder was begun with other inputs.
    #[error(
        "'{}' is an unfinished run with another definition, model, text, shard or version of bitkv: give another --out, or \
         delete that folder", .path.display()
    )]
    OtherRun {
        /// The folder of the unfinished run.
        path: PathBuf,
    },
    /// The finished run could not be moved to its name. Its files are kept.
    #[error("cannot move the finished run to '{}' ({reason}): its files are kept in '{}'", .target.display(), .partial.display())]
    Finish {
        /// The path that the run should have had.
        target: PathBuf,
        /// Where the files are.
        partial: PathBuf,
        /// The error of the operating system, or that the name was taken in the meantime.
        reason: std::io::Error,
    },
}

/// Returns what to do about a document that cannot be read, as the end of a sentence.
fn remedy(kind: &str) -> &'static str {
    match kind {
        crate::profile::KIND | crate::published_profile::KIND => {
            ": use a file that `bitkv profile --out` wrote"
        }
        crate::manifest::KIND => ": put the original file back, or run again",
        _ => "",
    }
}
