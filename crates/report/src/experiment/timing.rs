//! Tables of the times of planning, continuation and decoding.

use super::slice::{heading, with_comma};
use crate::format::{megabytes, optional, significant};
use crate::table::Table;
use crate::unique;
use bitkv_record::{Axes, TimingRow};

/// Returns a table of mean times over texts for each model and variant, in groups by budget. Empty without
/// timings.
pub(super) fn tables(timings: &[TimingRow], experiment: &str) -> Vec<Table> {
    let own: Vec<&TimingRow> = timings.iter().filter(|row| row.experiment == experiment).collect();
    let keys = unique(own.iter().map(|row| (row.model.as_str(), row.axes)));
    let titles = ["planning, ms", "continuation, ms", "decoding, ms per token", "peak memory, MB"];
    let all: Vec<Axes> = keys.iter().map(|(_, axes)| *axes).collect();
    let table = |(model, axes): (&str, Axes)| {
        let rows: Vec<&TimingRow> =
            own.iter().copied().filter(|row| (row.model.as_str(), row.axes) == (model, axes)).collect();
        let mut table = Table::with_number_columns(
            format!("{model}{}: mean times", with_comma(&axes.label(&all))),
            "policy",
            titles,
        );
        for budget in unique(rows.iter().map(|row| row.budget)) {
            table.group(heading(budget));
            let at_budget = || rows.iter().copied().filter(move |row| row.budget == budget);
            for policy in unique(at_budget().map(|row| row.policy.as_str())) {
                let rows: Vec<&TimingRow> = at_budget().filter(|row| row.policy == policy).collect();
                table.row(policy.to_owned(), means(&rows));
            }
        }
        table.note("Times differ from run to run. Peak memory is the peak of the whole process so far.");
        table
    };
    keys.iter().map(|key| table(*key)).collect()
}

/// Returns the means of planning, continuation, decoding and peak memory, as cells.
fn means(rows: &[&TimingRow]) -> [String; 4] {
    let mean = |value: fn(&TimingRow) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(|row| value(row)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let milliseconds = |seconds| significant(1e3 * seconds, 3);
    [
        optional(mean(|row| Some(row.plan_seconds)), milliseconds),
        optional(mean(|row| Some(row.continuation_seconds)), milliseconds),
        optional(mean(|row| row.decode_seconds_per_token), milliseconds),
        optional(mean(|row| row.peak_rss_bytes.map(|bytes| bytes as f64)), megabytes),
    ]
}
