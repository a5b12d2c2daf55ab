//! The documents that quote results: generated parts, quoted sentences, and sentences that nothing checks.

use crate::results::repository;
use crate::sentence::{Sentence, compares, has_number};
use bitkv_report::splice;
use std::fs;

/// The widest line of a document, in columns.
const WIDTH: usize = 110;

/// Set to 1, this variable lets the tests write the generated parts of documents instead of comparing them.
const WRITE: &str = "BITKV_WRITE_FINDINGS";

/// Returns the text of a document in the repository.
pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Asserts that rows support all sentences, and that the document has `content` between the lines
/// `<!-- mark -->` and `<!-- /mark -->`. With the variable `BITKV_WRITE_FINDINGS=1` it writes the content
/// instead.
pub(crate) fn assert_generated(file: &str, mark: &str, content: &str, sentences: &[Sentence]) {
    assert_supported(sentences);
    let text = read(file);
    let due = splice(&text, mark, content).unwrap_or_else(|error| panic!("{file}: {error}"));
    if due != text && is_writing() {
        fs::write(repository().join(file), due).unwrap();
        return;
    }
    let new: Vec<&str> = content.lines().filter(|line| !text.lines().any(|other| other == *line)).collect();
    assert!(
        due == text,
        "{file} is not what the rows support: run the test with {WRITE}=1. New lines:\n{}",
        new.join("\n")
    );
}

/// Returns whether the tests write documents. Then they cannot read them at the same time.
pub(crate) fn is_writing() -> bool {
    std::env::var(WRITE).is_ok_and(|value| value == "1")
}

/// Asserts that rows support all sentences, and that the document has them, regardless of its line breaks.
pub(crate) fn assert_quoted(file: &str, sentences: &[Sentence]) {
    assert_supported(sentences);
    let text = on_one_line(&read(file));
    for Sentence { text: sentence, .. } in sentences {
        assert!(text.contains(sentence), "{file} must say what the rows support:\n{sentence}");
    }
}

fn assert_supported(sentences: &[Sentence]) {
    let faults: Vec<String> = sentences
        .iter()
        .filter(|sentence| !sentence.faults.is_empty())
        .map(|Sentence { text, faults }| format!("{text}\n  the rows show: {}", faults.join("; ")))
        .collect();
    assert!(faults.is_empty(), "rewrite what the rows no longer support:\n{}", faults.join("\n"));
}

/// Returns the prose of the section of a document with the given heading: without headings and tables.
pub(crate) fn section(text: &str, heading: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let level = heading.split(' ').next().unwrap_or_default().len();
    let ends =
        |line: &&str| line.starts_with('#') && line.split(' ').next().unwrap_or_default().len() <= level;
    let prose = lines.take_while(|line| !ends(line)).filter(|line| !line.starts_with(['|', '<', '#']));
    let found = prose.collect::<Vec<_>>().join("\n");
    assert!(!found.trim().is_empty(), "there is no section '{heading}'");
    found
}

/// Returns the sentences of a text that have a number or compare, and that are not among the checked ones.
pub(crate) fn unchecked(text: &str, checked: &[String]) -> Vec<String> {
    let mut rest = on_one_line(text);
    for sentence in checked {
        rest = rest.replace(sentence.as_str(), "\n");
    }
    let sentences = rest.split('\n').flat_map(|part| part.split_inclusive(". ")).map(str::trim);
    sentences.filter(|sentence| has_number(sentence) || compares(sentence)).map(str::to_owned).collect()
}

/// Returns the text with every run of white space replaced by a space.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a paragraph of sentences, broken at the width of documents.
pub(crate) fn paragraph(sentences: &[Sentence]) -> String {
    let text = sentences.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if begins_a_list(word) || line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                *line += &format!(" {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// Returns whether Markdown would read a line with this first word as an item of a list or as a quotation.
fn begins_a_list(word: &str) -> bool {
    let number = word.strip_suffix(['.', ')']).unwrap_or_default();
    matches!(word, "-" | "+" | "*")
        || word.starts_with(['>', '#'])
        || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_with_an_untested_number_is_found() {
        let text =
            "Checked: it is 0.5\nnats. Plain words. It keeps 20 %. This\nis better. `int8` is a format.";
        let found = unchecked(text, &["Checked: it is 0.5 nats.".to_owned()]);
        assert_eq!(found, ["It keeps 20 %.", "This is better."]);
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        let text = "# A\n## Findings\nx\n| table 1 |\n### deeper\ny\n## Next\nz\n";
        assert_eq!(section(text, "## Findings"), "x\ny");
    }

    #[test]
    fn no_line_is_wider_than_documents_or_begins_a_list() {
        let text = "word ".repeat(21) + "abcd 2. - and the end";
        let text = paragraph(&[Sentence { text, faults: Vec::new() }]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, [&("word ".repeat(21) + "abcd 2. -"), "and the end"]);
    }
}
