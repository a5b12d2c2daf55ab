//! What a statement rests on: the rows that decide it, and the command that measures them again.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// The rows of a run that decide a statement: those of one file that have these values in these columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowFilter {
    /// The file in the run folder, without the `.gz` of packed rows.
    pub file: &'static str,
    /// The accepted values of each column. Other columns may have any value.
    pub columns: BTreeMap<&'static str, Vec<String>>,
}

impl RowFilter {
    /// Returns a filter that accepts all rows of a file.
    pub(super) fn new(file: &'static str) -> Self {
        Self { file, columns: BTreeMap::new() }
    }

    /// Returns the filter with one more condition. An empty list accepts every value.
    pub(super) fn with<T: ToString>(mut self, column: &'static str, values: &[T]) -> Self {
        if !values.is_empty() {
            self.columns.insert(column, values.iter().map(ToString::to_string).collect());
        }
        self
    }
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        for (i, (column, values)) in self.columns.iter().enumerate() {
            let separator = if i == 0 { ": " } else { "; " };
            write!(f, "{separator}{column} = {}", values.join(" or "))?;
        }
        Ok(())
    }
}

/// The rows that decide a statement, and the command that measures them again.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) rows: RowFilter,
    pub(super) command: String,
}

#[cfg(test)]
mod tests {
    use super::RowFilter;

    #[test]
    fn a_filter_says_which_rows_it_accepts() {
        let filter = RowFilter::new("rows.csv").with("policy", &["a", "b"]).with("budget", &[0.2]);
        assert_eq!(filter.to_string(), "rows.csv: budget = 0.2; policy = a or b");
        assert_eq!(RowFilter::new("heads.csv").with::<u32>("context", &[]).to_string(), "heads.csv");
    }
}
