//! The rows of `heads.csv`: one for each query head, text and context length.

use crate::column::{FROM_ZERO, UNIT, rows};
use crate::{Column, Form, Queries, Row, WeightKind};

rows! {
    /// The attention entropy of one query head of one model on one text.
    HeadRow;

    /// The name of the profile study.
    study: String, Optional;
    /// The name of the model.
    model: String, Required;
    /// The kind of weights that the model was trained with. Empty in older files.
    weights: Option<WeightKind>, Optional;
    /// The form in which its weights ran.
    form: Form, Optional;
    /// The name of the text.
    text: String, Required;
    /// The register of the text, for example "dialogue".
    register: String, Optional;
    /// The queries whose entropies were averaged.
    queries: Queries, Optional;
    /// The context length in tokens.
    context: usize, Required;
    /// Layer, from 0.
    layer: usize, Required;
    /// Query head, from 0.
    head: usize, Required;
    /// The KV head that the query head reads, from 0. Empty in files of format 1.
    kv_head: Option<usize>, Optional;
    entropy_bits: Option<f64>, Optional, "attention entropy", Bits, FROM_ZERO, Neither,
        "The mean entropy of the attention rows of a query head, over the chosen queries.";
    normalised_entropy: Option<f64>, Optional, "H / log2 n", Share, UNIT, Neither,
        "The same mean of entropies, each divided by log2 of the number of visible keys, its largest possible value.";
}

/// In format 1, one column had the study and the register, separated by a slash.
const PROFILE: Column<HeadRow> = Column::plain("profile", |row| &row.study, |row| &mut row.study);

impl Row for HeadRow {
    const KIND: &'static str = "head";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn old_columns() -> &'static [Column<Self>] {
        &[PROFILE]
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
