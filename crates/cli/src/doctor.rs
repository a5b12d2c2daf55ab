//! `bitkv doctor`: the findings about a checkpoint.

use anyhow::{Result, ensure};
use bitkv_doctor::{Finding, Severity, diagnose};
use bitkv_models::{Loading, PLAIN_LLAMA_MARK, Source};
use bitkv_record::shown;
use serde_json::{Value, json};

use crate::{bars::BARS, model::ReadingArguments, output, verbosity};

/// The largest width of a line, in columns.
const WIDTH: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The checkpoint to examine: a built-in name, a folder, a .gguf file, or organisation/name on the hub.
    model: String,
    /// Another checkpoint of the same model that is known to be right, such as the full-precision master
    /// weights. Codes and scales are compared with it.
    #[arg(long, value_name = "MODEL")]
    masters: Option<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let source = arguments.reading.source(&arguments.model)?;
    verbosity::detail(&format!("doctor reads every file of {}", source.asked()));
    ensure!(
        !source.name().ends_with(PLAIN_LLAMA_MARK),
        "doctor examines a checkpoint as it is, not as a plain Llama: leave out --as"
    );
    let masters = arguments
        .masters
        .as_deref()
        .map(|masters| Source::find_with(masters, Loading::default(), &BARS))
        .transpose()?;
    let findings = diagnose(&source, masters.as_ref())?;
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault).count();
    if arguments.json {
        output::json(&document(&source.name(), &findings, faults))?;
    } else {
        output::text(&findings.iter().map(table).collect::<Vec<_>>().join("\n"))?;
    }
    let plural = if faults == 1 { "" } else { "s" };
    ensure!(faults == 0, "doctor found {faults} fault{plural} in {}", source.name());
    Ok(())
}

fn document(model: &str, findings: &[Finding], faults: usize) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "check": finding.check,
            "severity": finding.severity.name(),
            "place": finding.place,
            "found": finding.found,
            "means": finding.means,
            "remedy": finding.remedy,
        })
    };
    json!({
        "model": model,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "faults": faults,
    })
}

/// Formats one finding as four labelled paragraphs.
fn table(finding: &Finding) -> String {
    let lines = [
        (finding.severity.name(), format!("{}: {}", finding.check, finding.place)),
        ("  found", finding.found.clone()),
        ("  means", finding.means.clone()),
        ("  to do", finding.remedy.clone()),
    ];
    lines.into_iter().flat_map(|(label, text)| wrapped(label, &text)).collect()
}

/// Returns the lines of a label and its text. Lines after the first are indented to the start of the text.
fn wrapped(label: &str, text: &str) -> Vec<String> {
    const INDENT: usize = 9;
    let mut lines = vec![format!("{label:<INDENT$}")];
    // Names come from files, which may contain any characters. Line breaks become spaces below.
    let text = shown(&text.replace(['\n', '\r', '\t'], " "));
    for (i, word) in text.split_whitespace().enumerate() {
        let full = lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= WIDTH);
        if i > 0 && full {
            lines.push(" ".repeat(INDENT));
        }
        let line = lines.last_mut().expect("the list starts with one line");
        *line += word;
        line.push(' ');
    }
    lines.into_iter().map(|line| line.trim_end().to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn long_texts_are_wrapped_and_indented() {
        let text = "word ".repeat(40);
        let lines = wrapped("  found", &text);
        assert!(lines.len() == 3 && lines[0].starts_with("  found  word"), "{lines:?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("         word") && line.len() <= 101));
        let words: usize = lines.iter().map(|line| line.matches("word").count()).sum();
        assert_eq!(words, 40);
    }

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(wrapped("note", "a\u{1b}[2Jb\n").concat(), "note     a\\u{1b}[2Jb\n");
    }
}
