//! The rows of one model that decide a claim.

use bitkv_record::GridRow;

use crate::{Run, unique};

/// The rows of one model that decide a claim. They belong to the first experiment that has the model, and all
/// have the axes (time of eviction, positions, KV format) of its first row.
pub(super) struct Cells<'a> {
    pub(super) rows: Vec<&'a GridRow>,
    pub(super) model: &'a str,
    pub(super) seed: u64,
}

impl<'a> Cells<'a> {
    /// Returns the rows of every model of a run, in order of first appearance. Failed cells are left out.
    pub(super) fn for_models(run: &Run<'a>) -> Vec<Cells<'a>> {
        let measured = || run.rows.iter().filter(|row| row.error.is_none());
        let cells_of = |model: &'a str| {
            let mut rows: Vec<&GridRow> = measured().filter(|row| row.model == model).collect();
            if let Some((experiment, axes)) = rows.first().map(|first| (&first.experiment, first.axes)) {
                rows.retain(|row| row.experiment == *experiment && row.axes == axes);
            }
            Cells { rows, model, seed: run.manifest.seed }
        };
        unique(measured().map(|row| row.model.as_str())).into_iter().map(cells_of).collect()
    }
}
