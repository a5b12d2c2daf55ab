//! Tables and charts of the KV cache as a share of memory, by context length and accounting.

use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::format::{MISSING, fixed, megabytes, optional, percent};
use crate::table::Table;
use crate::unique;
use bitkv_record::{Accounting, MemoryRow};

/// Returns one table per model, with a row for each context length and accounting, and with the published
/// share.
pub fn tables(rows: &[MemoryRow]) -> Vec<Table> {
    unique(rows.iter().map(|row| row.model.as_str())).into_iter().map(|model| table(model, rows)).collect()
}

/// Returns the table of one model.
fn table(model: &str, rows: &[MemoryRow]) -> Table {
    let mut table = Table::titled(
        format!("{model}: memory by context length"),
        ">context|accounting|>weights MB|>KV MB|>activations MB|>total MB|>KV %|>published KV %|\
         >difference, points",
    );
    let mut rows: Vec<&MemoryRow> = rows.iter().filter(|row| row.model == model).collect();
    rows.sort_by_key(|row| (row.context, row.accounting));
    for row in rows {
        let difference = row.published_fraction.map(|published| 100.0 * (row.kv_fraction - published));
        table.push(vec![
            row.context.to_string(),
            row.accounting.to_string(),
            megabytes(row.weight_bytes as f64),
            megabytes(row.kv_bytes as f64),
            megabytes(row.activation_bytes as f64),
            megabytes(row.total_bytes as f64),
            percent(row.kv_fraction),
            optional(row.published_fraction, percent),
            difference.map_or_else(|| MISSING.to_owned(), |points| fixed(points, 1)),
        ]);
    }
    table.note("MB = 10^6 bytes. KV % is the cache as a share of weights, cache and activations together.");
    table
}

/// Returns one table of all models, with a row for each context length and columns for the accountings, or
/// `None` if there are no rows.
pub fn overview(rows: &[MemoryRow]) -> Option<Table> {
    let mut table = Table::titled(
        "Memory by context length",
        ">context|>KV MB|>weights MB, 1.58 bits|>weights MB, as stored|>KV %, as published|\
         >KV %, published formula|>KV %, as stored|>KV %, measured",
    );
    for model in unique(rows.iter().map(|row| row.model.as_str())) {
        table.group(model);
        let mut contexts: Vec<usize> = rows.iter().filter(|r| r.model == model).map(|r| r.context).collect();
        contexts.sort_unstable();
        contexts.dedup();
        table.extend(contexts.into_iter().map(|context| overview_row(model, context, rows).to_vec()));
    }
    table.note(
        "MB = 10^6 bytes. KV % is the cache as a share of weights, cache and activations together. 'As stored' counts \
         ternary weights at 2 bits, and embeddings and norms at the width of their format. 'Measured' counts the buffers of \
         the loaded model. Activations are one vector per token: in f32 if measured, else in f16.",
    );
    table.unless_empty()
}

/// Returns the row of one model and context length in the overview.
fn overview_row(model: &str, context: usize, rows: &[MemoryRow]) -> [String; 8] {
    let find = |accounting| {
        rows.iter().find(|r| r.model == model && r.context == context && r.accounting == accounting)
    };
    let [published, actual, measured] =
        [Accounting::Published, Accounting::Actual, Accounting::Measured].map(find);
    let any = published.or(actual).or(measured);
    let mb = |bytes: Option<u64>| optional(bytes.map(|b| b as f64), megabytes);
    let share = |row: Option<&MemoryRow>| optional(row.map(|r| r.kv_fraction), percent);
    let stored = actual.or(measured);
    [
        context.to_string(),
        mb(any.map(|r| r.kv_bytes)),
        mb(published.map(|r| r.weight_bytes)),
        mb(stored.map(|r| r.weight_bytes)),
        optional(published.and_then(|r| r.published_fraction), percent),
        share(published),
        share(actual),
        share(measured),
    ]
}

/// Returns a table for a terminal, with one row per model, at its longest context, or `None` if there are no
/// rows.
pub fn brief(rows: &[MemoryRow]) -> Option<Table> {
    let titles = "model|>context|>KV MB|>weights MB, as stored|>KV %, published formula|>KV %, as stored";
    let mut table = Table::titled("Memory at the longest context", titles);
    for model in unique(rows.iter().map(|row| row.model.as_str())) {
        if let Some(context) = rows.iter().filter(|r| r.model == model).map(|r| r.context).max() {
            let [context, kv, _, stored, _, formula, actual, _] = overview_row(model, context, rows);
            table.push(vec![model.to_owned(), context, kv, stored, formula, actual]);
        }
    }
    table.unless_empty()
}

/// Returns a chart of the cache's share against context length, for each model with two or more context
/// lengths.
pub fn charts(rows: &[MemoryRow]) -> Vec<Chart> {
    let share = |(model, mut charts): (String, Vec<Chart>)| Chart {
        title: format!("{model}: KV cache share of memory"),
        ..charts.swap_remove(0)
    };
    panels(rows).into_iter().map(share).collect()
}

/// Returns, for each model with two or more context lengths, charts against context length: the share of the
/// cache, its bytes, and all bytes.
pub(crate) fn panels(rows: &[MemoryRow]) -> Vec<(String, Vec<Chart>)> {
    let charts = |model: &str| {
        let charts = vec![
            chart(model, rows, ("KV share", Scale::Unit), |row| row.kv_fraction),
            chart(model, rows, ("KV cache, MB", Scale::Linear), |row| row.kv_bytes as f64 / 1e6),
            chart(model, rows, ("all memory, MB", Scale::Linear), |row| row.total_bytes as f64 / 1e6),
        ];
        (model.to_owned(), charts)
    };
    let models = unique(rows.iter().map(|row| row.model.as_str())).into_iter().map(charts);
    let has_line = |charts: &[Chart]| charts[0].series.iter().any(|series| series.points.len() > 1);
    models.filter(|(_, charts)| has_line(charts)).collect()
}

/// Returns a chart of one quantity of a model, with one line for each accounting.
fn chart(
    model: &str,
    rows: &[MemoryRow],
    (label, scale): (&str, Scale),
    value: fn(&MemoryRow) -> f64,
) -> Chart {
    let series = [Accounting::Published, Accounting::Actual, Accounting::Measured].map(|accounting| {
        let chosen = rows.iter().filter(|row| row.model == model && row.accounting == accounting);
        let point = |row: &MemoryRow| Point { x: row.context as f64, y: value(row), interval: None };
        Series {
            label: format!("{accounting} accounting"),
            faint: false,
            points: chosen.map(point).collect(),
        }
    });
    Chart {
        title: format!("{model}: {label}"),
        x: Axis { label: "context, tokens".to_owned(), scale: Scale::Doubling },
        y: Axis { label: label.to_owned(), scale },
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(context: usize, accounting: Accounting, kv: u64, published: Option<f64>) -> MemoryRow {
        let total = 1_000_000 + kv;
        MemoryRow {
            weights: None,
            study: "s".into(),
            model: "m".into(),
            accounting,
            context,
            weight_bytes: 900_000,
            kv_bytes: kv,
            activation_bytes: 100_000,
            total_bytes: total,
            kv_fraction: kv as f64 / total as f64,
            published_fraction: published,
        }
    }

    #[test]
    fn rows_are_sorted_and_differences_are_in_points() {
        let rows = [
            row(1024, Accounting::Published, 1_000_000, Some(0.49)),
            row(512, Accounting::Actual, 250_000, None),
        ];
        let text = tables(&rows)[0].to_markdown();
        let small = text.find("| 512 | actual | 0.9000 | 0.2500 | 0.1000 | 1.250 | 20.0 | - | - |").unwrap();
        let large =
            text.find("| 1024 | published | 0.9000 | 1.000 | 0.1000 | 2.000 | 50.0 | 49.0 | 1.0 |").unwrap();
        assert!(small < large);
    }

    #[test]
    fn the_overview_puts_accountings_side_by_side() {
        let rows = [
            row(1024, Accounting::Actual, 250_000, None),
            row(1024, Accounting::Published, 1_000_000, Some(0.49)),
            row(768, Accounting::Measured, 500_000, None),
        ];
        let text = overview(&rows).unwrap().to_markdown();
        assert!(text.contains("| 768 | 0.5000 | - | 0.9000 | - | - | - | 33.3 |"), "{text}");
        assert!(text.contains("| 1024 | 1.000 | 0.9000 | 0.9000 | 49.0 | 50.0 | 20.0 | - |"), "{text}");
        let short = brief(&rows).unwrap().to_markdown();
        assert!(
            short.contains("| m | 1024 | 1.000 | 0.9000 | 50.0 | 20.0 |") && !short.contains("768"),
            "{short}"
        );
        assert!(overview(&[]).is_none() && brief(&[]).is_none());
    }

    #[test]
    fn one_context_length_makes_no_chart() {
        assert!(charts(&[row(512, Accounting::Actual, 1, None)]).is_empty());
        let two = [row(512, Accounting::Actual, 1, None), row(1024, Accounting::Actual, 2, None)];
        assert_eq!(charts(&two)[0].series.len(), 1);
    }
}
