//! [`BaseRows`] makes the rows of a unit without results, which say what is run on which model and text, and
//! the rows of cells that failed.

use bitkv_record::{GridRow, one_line};

use super::{
    job::{Cell, Job},
    key::{self, UnitKeys},
    unit::{QuestionGroup, Unit},
};
use crate::{
    observation::shape,
    registry::recorded_role,
    weights::{arithmetic, weight_kind},
};

/// Makes the rows of one unit. It needs no forward pass, so it can also record that the context failed.
pub(super) struct BaseRows<'a> {
    pub(super) job: &'a Job,
    pub(super) unit: &'a Unit,
    pub(super) keys: UnitKeys,
}

impl BaseRows<'_> {
    /// Returns the row of a cell without results: what was run on which model and text.
    pub(super) fn row(&self, cell: &Cell) -> GridRow {
        let (job, seeded) = (self.job, &self.job.policies[cell.policy]);
        let shape = shape(&job.loaded, self.unit.context.len());
        let group = &self.unit.groups[0];
        let policy = &seeded.policy;
        GridRow {
            key: self.keys.row(job, cell, group),
            experiment: job.experiment.name.clone(),
            model: job.loaded.name.clone(),
            weights: Some(weight_kind(&job.loaded)),
            arithmetic: Some(arithmetic(&job.loaded)),
            isa: Some(key::isa_class(&job.loaded)),
            policy: policy.spec().to_owned(),
            written: seeded.written.clone(),
            role: recorded_role(policy.role()),
            oracle: policy.is_oracle(),
            conserving: policy.conserves(),
            guard: policy
                .guard()
                .map_or_else(String::new, |g| format!("sinks={} recent={}", g.sinks, g.recent)),
            budget: cell.budget,
            axes: cell.axes,
            seed: seeded.seed,
            task: self.unit.task,
            text: self.unit.name.clone(),
            register: self.unit.register.clone(),
            context_tokens: shape.tokens,
            full_entries: Some(shape.all_kv_heads() * shape.tokens),
            depth: group.depth,
            ..GridRow::default()
        }
    }

    /// Returns the rows of a cell that failed, one per group of questions.
    pub(super) fn failed(&self, cell: &Cell, error: &str) -> Vec<GridRow> {
        self.group_rows(cell).map(|row| GridRow { error: Some(one_line(error)), ..row }).collect()
    }

    /// Returns the rows of a cell without results, one per group of questions.
    pub(super) fn group_rows(&self, cell: &Cell) -> impl Iterator<Item = GridRow> {
        let row = self.row(cell);
        self.unit.groups.iter().map(move |group| self.group_row(cell, group, &row))
    }

    /// Returns the row of one group of questions, made from the row that all groups of a cell share.
    pub(super) fn group_row(&self, cell: &Cell, group: &QuestionGroup, shared: &GridRow) -> GridRow {
        GridRow {
            key: self.keys.row(self.job, cell, group),
            questions: group.questions.len(),
            chance: group.chance,
            depth: group.depth,
            ..shared.clone()
        }
    }
}
