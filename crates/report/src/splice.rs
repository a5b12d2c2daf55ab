//! Tables that are generated into documents: the findings of a run, and the list of metrics.

use crate::table::Table;
use crate::{Run, claims, kinds};
use bitkv_record::{Column, GridRow, HeadRow, Measure, MemoryRow, Row, TimingRow};

/// Returns the findings of a run as a Markdown table: the key numbers of each claim with its verdict.
pub fn findings(run: &Run<'_>) -> String {
    let mut table = Table::titled("", "claim|published|found|verdict");
    for claim in claims::all(run) {
        for (i, [what, published, found]) in claim.key_numbers.iter().cloned().enumerate() {
            let verdict = if i == 0 { claim.verdict.name() } else { "" };
            table.push(vec![what, published, found, verdict.to_owned()]);
        }
    }
    kinds::Kinds::new(run).mark_table(&mut table);
    table.to_bare_markdown()
}

/// Returns every measured column of all kinds of rows, in the order of the documentation.
pub fn metrics() -> Vec<Measure> {
    fn measures<R: Row>() -> impl Iterator<Item = Measure> {
        R::columns().iter().filter_map(|column: &Column<R>| column.measure)
    }
    let rows = measures::<GridRow>().chain(measures::<TimingRow>());
    rows.chain(measures::<HeadRow>()).chain(measures::<MemoryRow>()).collect()
}

/// A document does not have the two lines that enclose a generated table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has no place for {name}: put the lines '<!-- {name} -->' and '<!-- /{name} -->' where the table belongs"
)]
pub struct SpliceError {
    /// The name of the table in these lines.
    pub name: String,
}

/// Returns a document with `content` between its lines `<!-- NAME -->` and `<!-- /NAME -->`.
///
/// # Errors
/// Returns an error unless the document has both lines once, in this order.
pub fn splice(document: &str, name: &str, content: &str) -> Result<String, SpliceError> {
    // The document keeps its line ends, LF or CRLF.
    let end = if document.contains("\r\n") { "\r\n" } else { "\n" };
    let content = content.replace('\n', end);
    let (open, close) = (format!("<!-- {name} -->{end}"), format!("<!-- /{name} -->"));
    let once = |mark: &str| document.matches(mark).count() == 1;
    let parts =
        document.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    let Some((before, after)) = parts.filter(|_| once(&open) && once(&close)) else {
        return Err(SpliceError { name: name.to_owned() });
    };
    Ok(format!("{before}{open}{content}{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_between_the_marks_change() {
        let document = "a\n<!-- t -->\nold\n<!-- /t -->\nb\n";
        assert_eq!(splice(document, "t", "new\n").unwrap(), "a\n<!-- t -->\nnew\n<!-- /t -->\nb\n");
        let windows = "a\r\n<!-- t -->\r\n<!-- /t -->\r\n";
        assert_eq!(splice(windows, "t", "new\n").unwrap(), "a\r\n<!-- t -->\r\nnew\r\n<!-- /t -->\r\n");
        for wrong in [
            "",
            "<!-- t -->\n",
            "<!-- /t -->\n<!-- t -->\n",
            "<!-- t -->\n<!-- /t --><!-- t -->\n",
            "<!-- t -->\n<!-- t -->\n<!-- /t -->\n",
        ] {
            assert!(splice(wrong, "t", "new").unwrap_err().to_string().contains("put the lines"), "{wrong}");
        }
    }

    #[test]
    fn names_of_metrics_are_unique() {
        let names: Vec<&str> = metrics().iter().map(|measure| measure.name).collect();
        assert!((1..names.len()).all(|i| !names[..i].contains(&names[i])), "{names:?}");
    }
}
