//! The rows of a run as compressed JSON, for the table of single rows in a page.
//!
//! Columns are stored one by one, and texts by their place in a list, because equal neighbours compress well.

use std::{collections::HashMap, io::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bitkv_record::{Better, Column, GridRow, Row as _};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::data::rounded;

/// The columns that are kept as texts: those that identify a row, and its error.
const TEXTS: [&str; 14] = [
    "experiment",
    "model",
    "written",
    "policy",
    "budget",
    "form",
    "when",
    "positions",
    "kv",
    "task",
    "text",
    "context_tokens",
    "seed",
    "error",
];
/// The most rows that a page holds. More would make it larger than a browser opens at once.
pub(super) const MOST: usize = 60_000;

/// Returns the rows as the base64 of gzipped JSON, or `None` without rows and for too many.
pub(super) fn packed(rows: &[GridRow]) -> Option<String> {
    if rows.is_empty() || rows.len() > MOST {
        return None;
    }
    let columns: Vec<Value> =
        GridRow::columns().iter().filter_map(|column| packed_column(column, rows)).collect();
    packed_json(&json!({"rows": rows.len(), "columns": columns}))
}

/// Returns the base64 of a gzipped document.
pub(super) fn packed_json(document: &Value) -> Option<String> {
    let document = document.to_string();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let bytes = encoder.write_all(document.as_bytes()).and_then(|()| encoder.finish());
    bytes.ok().map(|bytes| STANDARD.encode(bytes))
}

/// Returns a column, or `None` if it neither identifies a row nor has a measured value.
fn packed_column(column: &Column<GridRow>, rows: &[GridRow]) -> Option<Value> {
    if TEXTS.contains(&column.name) {
        return texts(column, rows);
    }
    let measure = column.measure.filter(|measure| measure.better != Better::Neither)?;
    let values: Vec<Option<f64>> = rows.iter().map(|row| (column.get)(row).number().map(rounded)).collect();
    values
        .iter()
        .any(Option::is_some)
        .then(|| json!({"name": column.name, "title": measure.title, "values": values}))
}

/// Returns a column of texts as places in the list of its distinct texts, or `None` if all are equal.
fn texts(column: &Column<GridRow>, rows: &[GridRow]) -> Option<Value> {
    let (mut list, mut places) = (Vec::new(), HashMap::new());
    let values: Vec<usize> = rows
        .iter()
        .map(|row| {
            let text = match column.name {
                // Rows of old files have no written policy.
                "written" => row.policy_name().to_owned(),
                _ => (column.get)(row).write(),
            };
            *places.entry(text.clone()).or_insert_with(|| {
                list.push(text);
                list.len() - 1
            })
        })
        .collect();
    let always = ["model", "written", "budget"].contains(&column.name);
    (list.len() > 1 || always)
        .then(|| json!({"name": column.name, "title": title(column.name), "texts": list, "values": values}))
}

/// Returns the heading of a column of texts.
fn title(name: &str) -> &str {
    match name {
        "written" => "policy",
        "policy" => "specification",
        "when" => "evicted",
        "context_tokens" => "context",
        name => name,
    }
}
