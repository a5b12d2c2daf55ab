//! How much a command writes to standard error: errors only, also progress and notes, or also what happens.
//! This file is the only one that knows the level.

use std::{io::Write as _, sync::OnceLock};

use bitkv_record::one_line;
use clap::{Command, error::ErrorKind};

use crate::{bars::print_above, colour};

/// The level of this process. It is global because a process has one standard error.
static LEVEL: OnceLock<Verbosity> = OnceLock::new();

/// How much is written to standard error. Errors always are.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Verbosity {
    /// Only errors.
    Quiet,
    /// Also progress, notes and summaries.
    #[default]
    Normal,
    /// Also what happens.
    Verbose,
}

/// The options of every command that choose the level.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct VerbosityArguments {
    /// Show only errors on standard error: no progress, notes or summaries.
    #[arg(short, long, global = true, display_order = 1000)]
    quiet: bool,
    /// Also show on standard error what happens: files, instructions, cells, batches and times.
    #[arg(short, long, global = true, display_order = 1000)]
    verbose: bool,
}

impl VerbosityArguments {
    /// Sets the level of this process.
    ///
    /// # Errors
    /// When both options were given. clap does not find that if one is before the subcommand and one after.
    pub(crate) fn apply(self, command: &mut Command) -> Result<(), clap::Error> {
        let level = match (self.quiet, self.verbose) {
            (true, true) => {
                let sentence =
                    "the argument '--quiet' cannot be used with '--verbose': leave out one of them";
                return Err(command.error(ErrorKind::ArgumentConflict, sentence));
            }
            (true, false) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        };
        LEVEL.set(level).expect("the arguments are read once");
        Ok(())
    }
}

fn level() -> Verbosity {
    LEVEL.get().copied().unwrap_or_default()
}

/// Whether only errors are shown.
pub(crate) fn is_quiet() -> bool {
    level() == Verbosity::Quiet
}

/// Whether what happens is shown too.
pub(crate) fn is_verbose() -> bool {
    level() == Verbosity::Verbose
}

/// Shows the sentence of an error.
pub(crate) fn error(sentence: &str) {
    write_line(&format!("{} {sentence}", colour::error_word()));
}

/// Writes a line to standard error. If it is full or closed, the line is lost: an error about that could not
/// be shown either, and the work matters more.
pub(crate) fn write_line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Shows a sentence that the user should read, unless only errors are shown.
pub(crate) fn note(sentence: &str) {
    summary(&format!("note: {}", one_line(sentence)));
}

/// Shows a line about what the command has done, unless only errors are shown.
pub(crate) fn summary(line: &str) {
    if !is_quiet() {
        print_above(line);
    }
}

/// Shows what happens, if the user asked for it.
pub(crate) fn detail(sentence: &str) {
    if is_verbose() {
        print_above(&one_line(sentence));
    }
}
