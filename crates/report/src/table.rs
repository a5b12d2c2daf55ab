//! A table of text that renders as plain text, as Markdown and as HTML.

use crate::escape;
use crate::format::MISSING;

/// The longest name in characters. If no cell of the first column is longer, HTML keeps each on one line.
const NAME_LENGTH: usize = 40;

/// The largest width of a column in a terminal, in characters, unless a single word is wider.
const CELL_WIDTH: usize = 44;

/// The largest width of a sentence in a terminal, in characters. It is also the width of a table whose reader
/// is not a terminal.
pub const LINE_WIDTH: usize = 120;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For names and sentences.
    Left,
    /// For numbers.
    Right,
}

/// A table with a caption, titled columns, rows of text and notes. Rows may be in groups. The first column
/// names its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    caption: String,
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    /// The groups of rows, each with the index of its first row and its label.
    groups: Vec<(usize, String)>,
    notes: Vec<String>,
}

impl Table {
    /// Returns an empty table with these columns.
    pub fn new(caption: impl Into<String>, columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|&(title, align)| (title.to_owned(), align)).collect();
        Self { caption: caption.into(), columns, rows: Vec::new(), groups: Vec::new(), notes: Vec::new() }
    }

    /// Returns an empty table with these titles, which `|` separates. A title with `>` before it is for
    /// numbers.
    pub fn titled(caption: impl Into<String>, titles: &str) -> Self {
        let column = |title: &str| match title.strip_prefix('>') {
            Some(title) => (title.to_owned(), Align::Right),
            None => (title.to_owned(), Align::Left),
        };
        Self { columns: titles.split('|').map(column).collect(), ..Self::new(caption, &[]) }
    }

    /// Returns an empty table with names in the first column and numbers in the columns of `titles`.
    pub(crate) fn with_number_columns<T: ToString>(
        caption: impl Into<String>,
        first: &str,
        titles: impl IntoIterator<Item = T>,
    ) -> Self {
        let numbers = titles.into_iter().map(|title| (title.to_string(), Align::Right));
        let columns = [(first.to_owned(), Align::Left)].into_iter().chain(numbers).collect();
        Self { columns, ..Self::new(caption, &[]) }
    }

    /// Adds a row. Values that the row lacks are shown as missing; values beyond the last column are dropped.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.columns.len(), MISSING.to_owned());
        self.rows.push(row);
    }

    /// Adds several rows, as [`Self::push`] does.
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Vec<String>>) {
        rows.into_iter().for_each(|row| self.push(row));
    }

    /// Adds a row with a name and values.
    pub(crate) fn row(&mut self, name: String, values: impl IntoIterator<Item = String>) {
        self.push([name].into_iter().chain(values).collect());
    }

    /// Adds a row with a name and values, unless all values are missing.
    pub(crate) fn row_if_any(&mut self, name: String, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        if values.iter().any(|value| value != MISSING) {
            self.row(name, values);
        }
    }

    /// Returns the caption.
    pub(crate) fn caption(&self) -> &str {
        &self.caption
    }

    /// Changes the caption, the labels of groups and all cells.
    pub(crate) fn edit_texts(&mut self, edit: impl Fn(&mut String)) {
        edit(&mut self.caption);
        self.groups.iter_mut().for_each(|(_, label)| edit(label));
        self.rows.iter_mut().flatten().for_each(edit);
    }

    /// Returns whether the name of a row or of a group contains this mark.
    pub(crate) fn has_mark(&self, mark: char) -> bool {
        let names = self.rows.iter().filter_map(|row| row.first());
        names.chain(self.groups.iter().map(|(_, label)| label)).any(|name| name.contains(mark))
    }

    /// Returns the table, or `None` if it has no rows.
    pub(crate) fn unless_empty(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }

    /// Adds a note below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Removes the notes, for a table that follows one with the same notes.
    pub(crate) fn drop_notes(&mut self) {
        self.notes.clear();
    }

    /// Begins a group: `label` is the heading of the rows that follow. A group without rows is not shown.
    pub fn group(&mut self, label: impl Into<String>) {
        self.groups.retain(|(first, _)| *first < self.rows.len());
        self.groups.push((self.rows.len(), label.into()));
    }

    /// Returns the label of the group that begins with this row, if one does.
    fn group_at(&self, row: usize) -> Option<&str> {
        self.groups.iter().find(|(first, _)| *first == row).map(|(_, label)| label.as_str())
    }

    /// Returns whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the table as aligned plain text of at most `width` characters per line. Long sentences wrap
    /// within their column. A table whose words and numbers need more characters is wider.
    pub fn to_terminal(&self, width: usize) -> String {
        let mut columns: Vec<Column> = (0..self.columns.len()).map(|i| self.column(i)).collect();
        narrow(&mut columns, width);
        let widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
        let row = |i: usize| columns.iter().map(|column| &column.cells[i][..]).collect::<Vec<_>>();
        let rule: Vec<[String; 1]> = widths.iter().map(|&width| ["-".repeat(width)]).collect();
        let rule: Vec<&[String]> = rule.iter().map(|line| &line[..]).collect();
        let sentence = |text: &str| escape::wrapped(text, width.min(LINE_WIDTH)).join("\n") + "\n";

        let mut text = sentence(&self.caption);
        text += &self.lines(&row(0), &widths);
        text += &self.lines(&rule, &widths);
        for i in 0..self.rows.len() {
            text.extend(self.group_at(i).map(|label| escape::terminal(label) + "\n"));
            text += &self.lines(&row(i + 1), &widths);
        }
        text.extend(self.notes.iter().map(|note| sentence(note)));
        text
    }

    /// Returns a column of the terminal with its natural width.
    fn column(&self, i: usize) -> Column {
        let title = [&self.columns[i].0].into_iter();
        let texts: Vec<String> = title.chain(self.rows.iter().map(|row| &row[i])).cloned().collect();
        let cells: Vec<_> = texts.iter().map(|text| escape::wrapped(text, CELL_WIDTH)).collect();
        Column { width: width_of(cells.iter()), texts, align: self.columns[i].1, cells }
    }

    /// Returns the lines of one row of plain text.
    fn lines(&self, row: &[&[String]], widths: &[usize]) -> String {
        let mut text = String::new();
        for line in 0..row.iter().map(|cell| cell.len()).max().unwrap_or(0) {
            let cell = |i: usize| row[i].get(line).map_or("", String::as_str);
            let padded = (0..row.len()).map(|i| pad(cell(i), widths[i], self.columns[i].1));
            text += padded.collect::<Vec<_>>().join("  ").trim_end();
            text += "\n";
        }
        text
    }

    /// Returns the table as Markdown, with its caption in bold above it.
    pub fn to_markdown(&self) -> String {
        format!("**{}**\n\n{}", escape::markdown(&self.caption), self.to_bare_markdown())
    }

    /// Returns the table as Markdown, without its caption.
    pub fn to_bare_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" }.to_owned();
        let mut text = String::new();
        text += &line(self.columns.iter().map(|(title, _)| escape::markdown(title)).collect());
        text += &line(self.columns.iter().map(|(_, align)| rule(align)).collect());
        for (i, row) in self.rows.iter().enumerate() {
            if let Some(label) = self.group_at(i) {
                let rest = " |".repeat(self.columns.len() - 1);
                text += &format!("| **{}** |{rest}\n", escape::markdown(label));
            }
            text += &line(row.iter().map(|cell| escape::markdown(cell)).collect());
        }
        text.extend(self.notes.iter().map(|note| format!("\n{}\n", escape::markdown(note))));
        text
    }

    /// Returns the table as HTML, with a caption and header scopes, in a box that scrolls sideways if the
    /// table is too wide.
    pub fn to_html(&self) -> String {
        let caption = escape::html(&self.caption);
        // A box that scrolls must be reachable by keyboard, and therefore needs a name.
        let mut html = format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n<table>\n\
             <caption>{caption}</caption>\n<thead><tr>"
        );
        for (title, align) in &self.columns {
            html += &format!("<th scope=\"col\"{}>{}</th>", class(*align), escape::html(title));
        }
        html += "</tr></thead>\n<tbody>\n";
        for (i, row) in self.rows.iter().enumerate() {
            if let Some(label) = self.group_at(i) {
                let columns = self.columns.len();
                html += if i > 0 { "</tbody>\n<tbody>\n" } else { "" };
                html += &format!(
                    "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{columns}\">{}</th></tr>\n",
                    escape::html(label)
                );
            }
            html += &self.html_row(row);
        }
        html += "</tbody>\n</table>\n</div>\n";
        html.extend(self.notes.iter().map(|note| format!("<p class=\"note\">{}</p>\n", escape::html(note))));
        html
    }

    /// Returns one row as HTML.
    fn html_row(&self, row: &[String]) -> String {
        let mut html = "<tr>".to_owned();
        for (i, (cell, (_, align))) in row.iter().zip(&self.columns).enumerate() {
            let (open, close) = match i {
                0 if self.has_names() && *align == Align::Left => ("th scope=\"row\" class=\"name\"", "th"),
                0 => ("th scope=\"row\"", "th"),
                _ => ("td", "td"),
            };
            html += &format!("<{open}{}>{}</{close}>", class(*align), escape::html(cell));
        }
        html + "</tr>\n"
    }

    /// Returns whether the first column has names, which must not wrap, and not sentences.
    fn has_names(&self) -> bool {
        self.rows.iter().all(|row| row.first().is_none_or(|name| name.chars().count() <= NAME_LENGTH))
    }
}

/// A column of a table in a terminal: its title and its cells, wrapped to lines.
struct Column {
    texts: Vec<String>,
    align: Align,
    cells: Vec<Vec<String>>,
    /// The width of the widest line, in characters.
    width: usize,
}

impl Column {
    /// Makes the lines narrower by at least one character. Returns false if nothing can be broken. Numbers
    /// are not broken, but the title above them is.
    fn narrow(&mut self) -> bool {
        let most = self.width.saturating_sub(1).min(CELL_WIDTH);
        let broken = match self.align {
            Align::Left => self.texts.len(),
            Align::Right => 1,
        };
        let cells: Vec<_> = self.texts[..broken].iter().map(|text| escape::broken(text, most)).collect();
        let width = width_of(cells.iter().chain(&self.cells[broken..]));
        if width >= self.width {
            return false;
        }
        self.cells.splice(..broken, cells);
        self.width = width;
        true
    }
}

/// Returns the width of the widest line of cells, in characters.
fn width_of<'a>(cells: impl Iterator<Item = &'a Vec<String>>) -> usize {
    cells.flatten().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Makes columns narrower until they fit into `width` characters side by side, if their words allow it. The
/// widest column becomes narrower first.
fn narrow(columns: &mut [Column], width: usize) {
    let total = |columns: &[Column]| columns.iter().map(|column| column.width + 2).sum::<usize>();
    while total(columns) > width.saturating_add(2) {
        let mut widest: Vec<&mut Column> = columns.iter_mut().collect();
        widest.sort_by_key(|column| std::cmp::Reverse(column.width));
        if !widest.into_iter().any(Column::narrow) {
            break;
        }
    }
}

/// Pads a text to a width.
fn pad(text: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

/// Returns the HTML attribute of the class of a column.
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
        assert_eq!(example().to_terminal(80), expected);
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
        assert_eq!(table.to_terminal(80), expected);
        let narrow = "\
c
reason            n
----------------  -
The published     7
formula counts
embeddings at
1.58 bits, which
no runtime does.
";
        assert_eq!(table.to_terminal(20), narrow);
        let longest = table.to_terminal(3).lines().map(|line| line.chars().count()).max();
        assert_eq!(longest, Some("embeddings".len() + 3), "plain words are not broken");
    }

    #[test]
    fn every_form_shows_the_headings_of_groups() {
        let mut table = Table::new("c", &[("policy", Align::Left), ("n", Align::Right)]);
        table.push(vec!["full".into(), "1".into()]);
        table.group("rivals & <others>");
        table.push(vec!["recency".into(), "2".into()]);
        table.group("nothing follows");
        assert_eq!(
            table.to_terminal(80),
            "c\npolicy   n\n-------  -\nfull     1\nrivals & <others>\nrecency  2\n"
        );
        let (markdown, html) = (table.to_markdown(), table.to_html());
        assert!(
            markdown.contains("| full | 1 |\n| **rivals \\& \\<others\\>** | |\n| recency | 2 |\n"),
            "{markdown}"
        );
        let head = "<th scope=\"rowgroup\" colspan=\"2\">rivals &amp; &lt;others&gt;</th>";
        assert!(html.contains(&format!("</tbody>\n<tbody>\n<tr class=\"group\">{head}</tr>\n")), "{html}");
        assert_eq!(html.matches("<tbody>").count(), 2, "a group without rows is not shown");
    }

    #[test]
    fn names_are_kept_on_one_line_and_sentences_are_not() {
        let mut table = example();
        assert!(table.to_html().contains("<th scope=\"row\" class=\"name\">full †</th>"));
        table
            .push(vec!["a sentence that is much too long for one single line of a very narrow table".into()]);
        assert!(!table.to_html().contains("class=\"name\""));
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
        assert!(
            text.contains("<th scope=\"row\" class=\"name\">a|b&lt;</th><td class=\"number\">12.25</td>"),
            "{text}"
        );
        assert_eq!(text.matches("<tr>").count(), 3);
    }
}
