//! The statements of a claim, as a full table and as short lines.

use crate::claims::{Claim, Statement};
use crate::format::MISSING;
use crate::table::Table;
use crate::unique;

/// Returns the table of all statements, in groups by model, each with the rule that decides it and the
/// command that measures its numbers again. A reason that several statements share is a note below the table.
pub(super) fn table(claim: &Claim, models: &[String]) -> Table {
    let mut table = Table::titled(
        "Statement by statement",
        "statement|published|measured|holds|rule|measured again by|note",
    );
    let shared = shared_reasons(&claim.statements);
    let mut group = None;
    for statement in &claim.statements {
        let (model, text) = split_model(&statement.text, models);
        if group.replace(model) != Some(model) {
            // Statements about no particular model need a heading only after those about one.
            match model {
                Some(model) => table.group(model),
                None if !table.is_empty() => table.group("all models"),
                None => {}
            }
        }
        let reason = shared.iter().position(|reason| *reason == statement.reason);
        table.push(vec![
            text.to_owned(),
            or_missing(&statement.published),
            or_missing(&statement.measured),
            answer(statement).to_owned(),
            or_missing(&statement.rule),
            or_missing(&statement.command),
            reason.map_or_else(|| or_missing(&statement.reason), |i| format!("note {}", i + 1)),
        ]);
    }
    for (i, reason) in shared.iter().enumerate() {
        table.note(format!("Note {}: {reason}", i + 1));
    }
    table
}

/// Returns one line per statement of at most `width` characters. Neighbours that differ in one word share a
/// line. A line has the numbers if they fit, without intervals; reasons are only in the full table.
pub(super) fn lines(claim: &Claim, models: &[String], width: usize) -> Vec<String> {
    let mut merged: Vec<MergedLine<'_>> = Vec::new();
    for statement in &claim.statements {
        if !merged.last_mut().is_some_and(|last| last.absorb(statement)) {
            merged.push(MergedLine::new(statement));
        }
    }
    merged.iter().map(|line| line.text(models, width)).collect()
}

/// Statements that share one line.
struct MergedLine<'a> {
    /// The words of the statement. The word that varies has all its values, separated by commas.
    words: Vec<String>,
    /// The index of the word that varies, if the line has several statements.
    varies: Option<usize>,
    /// The word that varies, of each statement; empty if the line has one statement.
    values: Vec<String>,
    first: &'a Statement,
    answers: Vec<&'static str>,
    published: Vec<String>,
    measured: Vec<String>,
}

impl<'a> MergedLine<'a> {
    /// Returns a line with one statement.
    fn new(first: &'a Statement) -> Self {
        let words = first.text.split_whitespace().map(str::to_owned).collect();
        let (published, measured) = (vec![first.published.clone()], vec![without_intervals(&first.measured)]);
        Self {
            words,
            varies: None,
            values: Vec::new(),
            first,
            answers: vec![answer(first)],
            published,
            measured,
        }
    }

    /// Adds a statement if it differs from the first in one word, the word in which the others differ.
    /// Returns whether it was added.
    fn absorb(&mut self, other: &Statement) -> bool {
        let first: Vec<&str> = self.first.text.split_whitespace().collect();
        let words: Vec<&str> = other.text.split_whitespace().collect();
        if words.len() != first.len() || other.reason != self.first.reason {
            return false;
        }
        let different: Vec<usize> = (0..words.len()).filter(|&i| words[i] != first[i]).collect();
        let [at] = different[..] else { return false };
        // A colon ends the name of a model. Models have lines of their own; budgets and rules share lines.
        if self.varies.is_some_and(|varies| varies != at) || words[at].ends_with(':') {
            return false;
        }
        self.varies = Some(at);
        if self.values.is_empty() {
            self.values.push(first[at].to_owned());
        }
        self.values.push(words[at].to_owned());
        self.words[at] += &format!(", {}", words[at]);
        self.answers.push(answer(other));
        self.published.push(other.published.clone());
        self.measured.push(without_intervals(&other.measured));
        true
    }

    /// Returns the answer that all statements have, or each answer with the words that it is for, such as
    /// `yes for 2x and 5x, no for 10x`.
    fn answer(&self) -> String {
        let answers = unique(self.answers.iter().copied());
        if let [only] = answers[..] {
            return only.to_owned();
        }
        let part = |answer: &str| {
            let own = self.values.iter().zip(&self.answers).filter(|(_, other)| **other == answer);
            let own: Vec<&str> = own.map(|(value, _)| value.as_str()).collect();
            format!("{answer} for {}", bitkv_record::listed(&own))
        };
        answers.into_iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// Returns the longest of three lines that fits: with all numbers, with the measured ones, without
    /// numbers.
    fn text(&self, models: &[String], width: usize) -> String {
        let text = self.words.join(" ");
        // If the run has one model, its name is left out.
        let text = if models.len() > 1 { &text } else { split_model(&text, models).1 };
        let bare = format!("{}: {text}", self.answer());
        let (measured, published) = (joined(&self.measured, "; "), joined(&self.published, "; "));
        let with_measured = if measured.is_empty() { bare.clone() } else { format!("{bare}: {measured}") };
        let with_both = if published.is_empty() {
            with_measured.clone()
        } else {
            format!("{with_measured} ({})", published_text(&published))
        };
        let fits = |line: &String| line.chars().count() <= width;
        [with_both, with_measured].into_iter().find(fits).unwrap_or(bare)
    }
}

/// Returns what was published, for a line on a terminal.
pub(super) fn published_text(published: &str) -> String {
    match published {
        "not tested" => "not published".to_owned(),
        published => format!("published: {published}"),
    }
}

/// Joins the values that are not empty. Equal values are written once.
fn joined<T: AsRef<str>>(values: &[T], separator: &str) -> String {
    let known: Vec<&str> = values.iter().map(AsRef::as_ref).filter(|value| !value.is_empty()).collect();
    match unique(known.iter())[..] {
        [same] => (*same).to_owned(),
        _ => known.join(separator),
    }
}

/// Returns the reasons that several statements share, in order of first appearance.
fn shared_reasons(statements: &[Statement]) -> Vec<&str> {
    let count = |reason: &str| statements.iter().filter(|s| s.reason == reason).count();
    let reasons = unique(statements.iter().map(|s| s.reason.as_str())).into_iter();
    reasons.filter(|reason| !reason.is_empty() && count(reason) > 1).collect()
}

/// Splits a text into the model that it begins with, if it does, and the rest.
pub(crate) fn split_model<'a>(text: &'a str, models: &'a [String]) -> (Option<&'a str>, &'a str) {
    let split = |model: &'a String| {
        Some((Some(model.as_str()), text.strip_prefix(model.as_str())?.strip_prefix(": ")?))
    };
    models.iter().find_map(split).unwrap_or((None, text))
}

/// Returns the text without the intervals, ` [low, high]`, after its numbers.
fn without_intervals(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" [") {
        short += before;
        rest = after.split_once(']').map_or("", |(_, after)| after);
    }
    short + rest
}

/// Returns whether a statement holds, in a word or two.
pub(crate) fn answer(statement: &Statement) -> &'static str {
    match statement.holds {
        Some(true) => "yes",
        Some(false) => "no",
        None if statement.measured.is_empty() => "not tested",
        None => "undecided",
    }
}

/// Returns the text, or the mark of a missing value if it is empty.
fn or_missing(text: &str) -> String {
    if text.is_empty() { MISSING.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::StatementRole;
    use bitkv_record::ClaimId;

    fn claim(rows: &[(&str, &str, Option<bool>, &str)]) -> Claim {
        let statement = |&(text, measured, holds, reason): &(&str, &str, Option<bool>, &str)| Statement {
            text: text.into(),
            published: "96 %".into(),
            measured: measured.into(),
            holds,
            rule: "Yes if 96 %.".into(),
            reason: reason.into(),
            rows: None,
            command: String::new(),
            role: StatementRole::Claim,
            failing_check: None,
        };
        let statements = rows.iter().map(statement).collect();
        Claim::new(ClaimId::Compression, "c", statements, Vec::new(), Default::default(), Default::default())
    }

    fn example() -> Claim {
        claim(&[
            ("the formula gives the table", "[1, 2]", Some(true), "alone"),
            ("a: rule at 2x keeps tokens", "97 % [96, 98] with 50 %", Some(true), "Within 1 point."),
            ("a: rule at 5x keeps tokens", "95 % [94, 96] with 20 %", Some(true), "Within 1 point."),
            ("a: rule at 10x keeps tokens", "90 %", Some(false), "Within 1 point."),
            ("b: rule at 10x keeps tokens", "91 %", Some(false), "Within 1 point."),
            ("both differ", "", None, "needs two"),
        ])
    }

    fn models() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn a_shared_reason_is_a_note() {
        let text = table(&example(), &models()).to_markdown();
        assert_eq!(text.matches("Within 1 point.").count(), 1, "{text}");
        assert_eq!(text.matches("| note 1 |").count(), 4);
        assert!(
            text.contains("Note 1: Within 1 point.\n") && text.contains("| yes | Yes if 96 %. | - | alone |"),
            "{text}"
        );
    }

    #[test]
    fn statements_are_grouped_by_model() {
        let text = table(&example(), &models()).to_markdown();
        let position = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        let parts = [
            "the formula",
            "| **a** |",
            "| rule at 2x keeps tokens |",
            "| **b** |",
            "| **all models** |",
            "| both differ |",
        ];
        let positions = parts.map(position);
        assert!(positions.is_sorted(), "{positions:?}");
    }

    #[test]
    fn neighbours_that_differ_in_one_word_share_a_line() {
        let expected = [
            "yes: the formula gives the table: [1, 2] (published: 96 %)",
            "yes for 2x and 5x, no for 10x: a: rule at 2x, 5x, 10x keeps tokens: 97 % with 50 %; 95 % with 20 %; 90 % (published: 96 %)",
            "no: b: rule at 10x keeps tokens: 91 % (published: 96 %)",
            "not tested: both differ (published: 96 %)",
        ];
        assert_eq!(lines(&example(), &models(), 140), expected);
        assert!(
            lines(&example(), &models()[..1], 120)[1]
                .starts_with("yes for 2x and 5x, no for 10x: rule at 2x"),
            "the only model"
        );
    }

    #[test]
    fn what_is_not_published_is_called_so() {
        assert_eq!(published_text("not tested"), "not published");
        assert_eq!(published_text("96 %"), "published: 96 %");
        let mut claim = claim(&[("x at 2x", "1", Some(true), "r"), ("x at 5x", "2", Some(false), "r")]);
        claim.statements.iter_mut().for_each(|statement| statement.published = "not tested".into());
        assert_eq!(
            lines(&claim, &models(), 99),
            ["yes for 2x, no for 5x: x at 2x, 5x: 1; 2 (not published)"]
        );
    }

    #[test]
    fn lines_have_the_numbers_that_fit() {
        let line = |width| lines(&example(), &models(), width)[1].clone();
        assert!(line(110).ends_with("95 % with 20 %; 90 %") && line(80).ends_with("keeps tokens"));
    }

    #[test]
    fn statements_that_differ_in_two_words_have_two_lines() {
        let row = |text| (text, "1", Some(true), "r");
        assert_eq!(lines(&claim(&[row("x at 2x"), row("y at 5x")]), &models(), 99).len(), 2);
        let rows = [row("x at 2x"), row("x at 5x"), row("y at 2x")];
        assert_eq!(lines(&claim(&rows), &models(), 99).len(), 2, "the word that varies stays the same one");
    }
}
