//! Markdown tables whose cells contain Markdown.

/// Returns the first two lines of a table.
pub(crate) fn head(titles: &[&str]) -> String {
    row(titles) + &row(&vec!["---"; titles.len()])
}

/// Returns one line of a table. Only `|` is escaped, because it would end a cell.
pub(crate) fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_inside_a_cell_is_escaped() {
        assert_eq!(row(&["`a`", "|b|"]), "| `a` | \\|b\\| |\n");
    }
}
