//! A finding: sentences and tables under a heading of a document.

use crate::document::paragraph;
use crate::sentence::Sentence;

/// A heading with sentences and tables, all computed from rows.
pub(crate) struct Finding {
    /// The heading.
    pub(crate) title: &'static str,
    /// The sentences before the tables.
    pub(crate) sentences: Vec<Sentence>,
    /// Tables in Markdown, each with a line end.
    pub(crate) tables: Vec<String>,
}

impl Finding {
    /// Returns the finding in Markdown, with an empty line at its end.
    pub(crate) fn markdown(&self) -> String {
        let tables: String = self.tables.iter().map(|table| format!("{table}\n")).collect();
        format!("### {}\n\n{}\n{tables}", self.title, paragraph(&self.sentences))
    }
}

/// Returns a table in Markdown. The names of columns are separated by `|`.
pub(crate) fn table(columns: &str, rows: &[Vec<String>]) -> String {
    let columns: Vec<&str> = columns.split('|').collect();
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    text += &line(&vec!["---".to_owned(); columns.len()]);
    for row in rows {
        assert_eq!(row.len(), columns.len(), "{row:?} does not have the columns {columns:?}");
        text += &line(row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_its_sentences_before_its_tables() {
        let tables = vec![table("a|b", &[vec!["1".into(), "2".into()]])];
        let finding = Finding { title: "T", sentences: vec![Sentence::plain("So.")], tables };
        assert_eq!(finding.markdown(), "### T\n\nSo.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n");
    }
}
