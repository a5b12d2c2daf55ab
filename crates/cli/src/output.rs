//! Writes to standard output and to files. With `--json`, standard output has only one document; a file is
//! written completely or not at all.

use std::{
    io::{self, ErrorKind, Write},
    path::Path,
};

use anyhow::{Context as _, Result};
use bitkv_record::one_line;
use bitkv_report::{LINE_WIDTH, Run, Table, render_terminal};
use serde::Serialize;

use crate::{colour::with_coloured_verdicts, verbosity};

/// Prints `value` as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    text(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Prints text without changes.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Prints tables, with an empty line between them, in the width of the terminal.
pub(crate) fn tables(tables: &[Table]) -> Result<()> {
    let texts: Vec<String> = tables.iter().map(|table| table.to_terminal(width())).collect();
    text(&texts.join("\n"))
}

/// Returns the number of characters in a line of standard output: the width of the terminal, otherwise the
/// variable `COLUMNS`, otherwise a width that is readable in a file.
pub(crate) fn width() -> usize {
    let terminal = console::Term::stdout();
    let of_terminal = terminal.is_term().then(|| terminal.size_checked()).flatten();
    let given = || std::env::var("COLUMNS").ok()?.parse().ok();
    of_terminal.map(|(_, columns)| usize::from(columns)).or_else(given).unwrap_or(LINE_WIDTH)
}

/// Writes a file, and replaces an existing one.
pub(crate) fn file(path: &Path, bytes: &[u8]) -> Result<()> {
    bitkv_bytes::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Prints the report of a run in the width of the terminal. Its verdicts have colour on a terminal.
pub(crate) fn report(run: &Run<'_>) -> Result<()> {
    text(&with_coloured_verdicts(&render_terminal(run, width())))
}

/// Prints on standard error what was ignored.
pub(crate) fn notes(notes: &[String]) {
    notes.iter().for_each(|note| verbosity::note(note));
}

/// Formats an error and its causes as one line, although parsers quote lines of their input. A cause that a
/// message already contains is not repeated.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let cause = one_line(&cause.to_string());
        if !sentence.contains(&cause) {
            sentence += if sentence.is_empty() { "" } else { ": " };
            sentence += &cause;
        }
    }
    one_line(&sentence)
}

/// Whether the error only says that the reader of standard output has ended, as after `| head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::sentence;

    #[test]
    fn a_cause_is_not_repeated() {
        let cause = io_error().context("cannot read 'a': no such thing");
        assert_eq!(sentence(&cause), "cannot read 'a': no such thing");
        assert_eq!(sentence(&io_error().context("cannot read 'a'")), "cannot read 'a': no such thing");
    }

    #[test]
    fn a_message_of_many_lines_becomes_one() {
        assert_eq!(sentence(&anyhow!("at line 1\n  |\n1 | x\n\nbad key\n")), "at line 1 | 1 | x bad key");
    }

    fn io_error() -> anyhow::Error {
        std::io::Error::other("no such thing").into()
    }
}
