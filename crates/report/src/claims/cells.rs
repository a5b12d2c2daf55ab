//! The rows that claims are decided on.

use bitkv_record::GridRow;

use crate::{Run, unique};

/// The rows of one model that claims are decided on: of the first experiment that has the model, with the first value
/// on every axis but the form.
pub(super) struct Cells<'a> {
    pub(super) rows: Vec<&'a GridRow>,
    pub(super) model: &'a str,
    pub(super) seed: u64,
}

impl<'a> Cells<'a> {
    /// Of every model of a run, in order of first appearance; cells that failed are left out.
    pub(super) fn for_models(run: &Run<'a>) -> Vec<Cells<'a>> {
        let measured = || run.rows.iter().filter(|row| row.error.is_none());
        let of = |model: &'a str| {
            let mut rows: Vec<&GridRow> = measured().filter(|row| row.model == model).collect();
            if let Some((experiment, axes)) = rows.first().map(|first| (&first.experiment, first.axes)) {
                rows.retain(|row| row.experiment == *experiment && row.axes == axes);
            }
            Cells { rows, model, seed: run.manifest.seed }
        };
        unique(measured().map(|row| row.model.as_str())).into_iter().map(of).collect()
    }
}
