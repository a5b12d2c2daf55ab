//! `heads.csv`: the attention entropy of one query head on one text.

use crate::column::{FROM_ZERO, UNIT, identity, measure};
use crate::{Column, Form, Queries, Row};
use std::sync::LazyLock;

/// The attention entropy of one query head of one model on one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeadRow {
    /// Name of the profile study.
    pub study: String,
    /// Model name.
    pub model: String,
    /// What its weights were run as.
    pub form: Form,
    /// Text name.
    pub text: String,
    /// Register of the text.
    pub register: String,
    /// The queries that were averaged.
    pub queries: Queries,
    /// Context length in tokens.
    pub context: usize,
    /// Layer, from 0.
    pub layer: usize,
    /// Query head, from 0.
    pub head: usize,
    /// The KV head that it reads, from 0; empty in files of format 1.
    pub kv_head: Option<usize>,
    /// See the table.
    pub entropy_bits: Option<f64>,
    /// See the table.
    pub normalised_entropy: Option<f64>,
}

#[rustfmt::skip]
static COLUMNS: LazyLock<Vec<Column<HeadRow>>> = LazyLock::new(|| vec![
    identity!(study), identity!(model, required), identity!(form), identity!(text, required), identity!(register), identity!(queries),
    identity!(context, required), identity!(layer, required), identity!(head, required), identity!(kv_head),
    measure!(entropy_bits, None, "attention entropy", Bits, FROM_ZERO, Neither, "attention entropy of a query head, in profiles"),
    measure!(normalised_entropy, None, "H / log2 n", Share, UNIT, Neither, "the same as a part of log2(keys), the most that it can be"),
    // Format 1 had study and register in one column.
    Column { name: "profile", measure: None, required: false, is_result: false, get: |row| &row.study, get_mut: |row| &mut row.study },
]);

/// Columns that are written; the last of the table is read in old files only.
const WRITTEN: usize = 12;

impl Row for HeadRow {
    const KIND: &'static str = "head";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS[..WRITTEN]
    }

    fn old_columns() -> &'static [Column<Self>] {
        &COLUMNS[WRITTEN..]
    }

    fn key(&self) -> String {
        let Self { study, model, text, context, layer, head, .. } = self;
        format!("study {study}, model {model}, text {text}, context {context}, layer {layer}, head {head}")
    }

    fn upgrade(&mut self) {
        if let Some((study, register)) = self.study.clone().split_once('/') {
            (self.study, self.register) = (study.to_owned(), register.to_owned());
        }
    }
}
