//! A small table that prints to a terminal, to Markdown and to HTML.

use crate::escape;
use crate::format::MISSING;

/// Columns of text in a terminal are at most this wide, unless a single word is wider.
const CELL_WIDTH: usize = 44;

/// Sentences in a terminal are at most this wide.
pub(crate) const LINE_WIDTH: usize = 100;

/// On which side a column's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names and sentences.
    Left,
    /// Numbers.
    Right,
}

/// A table: a caption, titled columns, rows of text and notes. The first column names its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    caption: String,
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    /// Titles of the columns that a terminal shows; all when empty.
    narrow: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(caption: impl Into<String>, columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|&(title, align)| (title.to_owned(), align)).collect();
        Self { caption: caption.into(), columns, rows: Vec::new(), notes: Vec::new(), narrow: Vec::new() }
    }

    /// Adds a row; values that are lacking are shown as missing, values beyond the last column are dropped.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.columns.len(), MISSING.to_owned());
        self.rows.push(row);
    }

    /// Adds a note shown below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Restricts what a terminal shows to the columns with these titles; Markdown and HTML always show all.
    pub fn narrow(&mut self, titles: &[&str]) {
        self.narrow = titles.iter().map(|&title| title.to_owned()).collect();
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Aligned plain text; long sentences are wrapped within their column.
    pub fn to_terminal(&self) -> String {
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|&i| self.narrow.is_empty() || self.narrow.contains(&self.columns[i].0))
            .collect();
        let titles: Vec<Vec<String>> =
            self.columns.iter().map(|(title, _)| vec![escape::terminal(title)]).collect();
        let wrapped = |row: &Vec<String>| row.iter().map(|cell| escape::wrapped(cell, CELL_WIDTH)).collect();
        let rows: Vec<Vec<Vec<String>>> = self.rows.iter().map(wrapped).collect();
        let width = |i: usize| {
            let lines = std::iter::once(&titles).chain(&rows).flat_map(|row| &row[i]);
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let rule: Vec<Vec<String>> = widths.iter().map(|&width| vec!["-".repeat(width)]).collect();

        let mut text = escape::wrapped(&self.caption, LINE_WIDTH).join("\n") + "\n";
        for row in [&titles, &rule].into_iter().chain(&rows) {
            for line in 0..shown.iter().map(|&i| row[i].len()).max().unwrap_or(0) {
                let cell = |i: usize| row[i].get(line).map_or("", String::as_str);
                let padded = shown.iter().map(|&i| pad(cell(i), widths[i], self.columns[i].1));
                text += padded.collect::<Vec<_>>().join("  ").trim_end();
                text += "\n";
            }
        }
        text.extend(self.notes.iter().map(|note| escape::wrapped(note, LINE_WIDTH).join("\n") + "\n"));
        text
    }

    /// A Markdown table with its caption in bold above it.
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" }.to_owned();
        let mut text = format!("**{}**\n\n", escape::markdown(&self.caption));
        text += &line(self.columns.iter().map(|(title, _)| escape::markdown(title)).collect());
        text += &line(self.columns.iter().map(|(_, align)| rule(align)).collect());
        text.extend(
            self.rows.iter().map(|row| line(row.iter().map(|cell| escape::markdown(cell)).collect())),
        );
        text.extend(self.notes.iter().map(|note| format!("\n{}\n", escape::markdown(note))));
        text
    }

    /// An HTML table with caption and header scopes, in a box that scrolls sideways when it is too wide.
    pub fn to_html(&self) -> String {
        let caption = escape::html(&self.caption);
        // A box that scrolls must be reachable by keyboard, and then it needs a name.
        let mut html = format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n<table>\n\
             <caption>{caption}</caption>\n<thead><tr>"
        );
        for (title, align) in &self.columns {
            html += &format!("<th scope=\"col\"{}>{}</th>", class(*align), escape::html(title));
        }
        html += "</tr></thead>\n<tbody>\n";
        for row in &self.rows {
            html += "<tr>";
            for (i, (cell, (_, align))) in row.iter().zip(&self.columns).enumerate() {
                let (open, close) = if i == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
                html += &format!("<{open}{}>{}</{close}>", class(*align), escape::html(cell));
            }
            html += "</tr>\n";
        }
        html += "</tbody>\n</table>\n</div>\n";
        html.extend(self.notes.iter().map(|note| format!("<p class=\"note\">{}</p>\n", escape::html(note))));
        html
    }
}

fn pad(text: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

fn class(align: Align) -> &'static str {
    if align == Align::Right { " class=\"number\"" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table =
            Table::new("A & B", &[("policy", Align::Left), ("KL", Align::Right), ("n", Align::Right)]);
        table.push(vec!["full †".into(), "0".into(), "10".into()]);
        table.push(vec!["a|b<".into(), "12.25".into()]);
        table.note("† note");
        table
    }

    #[test]
    fn a_terminal_table_is_aligned_by_characters_not_bytes() {
        let expected = "\
A & B
policy     KL   n
------  -----  --
full †      0  10
a|b<    12.25   -
† note
";
        assert_eq!(example().to_terminal(), expected);
    }

    #[test]
    fn long_sentences_wrap_within_their_column() {
        let mut table = Table::new("c", &[("reason", Align::Left), ("n", Align::Right)]);
        table.push(vec![
            "The published formula counts embeddings at 1.58 bits, which no runtime does.".into(),
            "7".into(),
        ]);
        let expected = "\
c
reason                                      n
------------------------------------------  -
The published formula counts embeddings at  7
1.58 bits, which no runtime does.
";
        assert_eq!(table.to_terminal(), expected);
    }

    #[test]
    fn a_terminal_can_show_fewer_columns() {
        let mut table = example();
        table.narrow(&["policy", "n"]);
        let text = table.to_terminal();
        assert!(text.contains("full †  10\n") && !text.contains("12.25"), "{text}");
        assert!(table.to_markdown().contains("12.25"));
    }

    #[test]
    fn markdown_cells_cannot_break_the_table() {
        let text = example().to_markdown();
        assert!(text.contains("| --- | ---: | ---: |"), "{text}");
        assert!(text.contains(r"| a\|b\< | 12.25 | - |"), "{text}");
    }

    #[test]
    fn html_has_caption_scopes_and_escapes() {
        let text = example().to_html();
        assert!(text.contains("<caption>A &amp; B</caption>"));
        assert!(text.contains("<th scope=\"row\">a|b&lt;</th><td class=\"number\">12.25</td>"), "{text}");
        assert_eq!(text.matches("<tr>").count(), 3);
    }
}
