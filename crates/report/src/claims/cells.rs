//! The rows of one model that decide a claim.

use bitkv_record::{AskedBudget, GridRow, ScoredTask};

use super::command;
use super::evidence::Evidence;
use crate::difference::Difference;
use crate::experiment::{Quantity, by_draw, difference, mean_over_texts, over_texts, without_policy_seed};
use crate::interval::Estimate;
use crate::{Run, unique};

/// The rows of one model that decide a claim. They belong to the first experiment that has the model, and all
/// have the axes (time of eviction, positions, KV format) of its first row.
pub(super) struct Cells<'a> {
    /// The rows. Their policies have no seed, because the column of seeds has it: a policy with several draws
    /// has several rows of each text, and each text counts with their mean.
    pub(super) rows: Vec<GridRow>,
    pub(super) model: &'a str,
    pub(super) run: &'a Run<'a>,
}

impl<'a> Cells<'a> {
    /// Returns the rows of every model of a run, in order of first appearance. Failed cells are left out.
    pub(super) fn for_models(run: &'a Run<'a>) -> Vec<Cells<'a>> {
        let measured = || run.rows.iter().filter(|row| row.error.is_none());
        let cells_of = |model: &'a str| {
            let mut rows: Vec<&GridRow> = measured().filter(|row| row.model == model).collect();
            if let Some((experiment, axes)) = rows.first().map(|first| (&first.experiment, first.axes)) {
                rows.retain(|row| row.experiment == *experiment && row.axes == axes);
            }
            Cells { rows: rows.into_iter().map(without_policy_seed).collect(), model, run }
        };
        unique(measured().map(|row| row.model.as_str())).into_iter().map(cells_of).collect()
    }

    /// Returns the rows of one policy and budget on texts.
    pub(super) fn text_rows(&self, policy: &str, budget: f64) -> Vec<&GridRow> {
        let asked = AskedBudget::Fraction(budget);
        let wanted = |c: &&GridRow| c.policy == policy && c.budget == asked && c.task == ScoredTask::TEXT;
        self.rows.iter().filter(wanted).collect()
    }

    /// Returns a mean over texts with its interval, or `None` if the run has no such texts.
    pub(super) fn estimate(&self, policy: &str, budget: f64, quantity: Quantity) -> Option<Estimate> {
        over_texts(&self.text_rows(policy, budget), quantity)
    }

    /// Returns a mean over texts without an interval.
    pub(super) fn mean(&self, policy: &str, budget: f64, quantity: Quantity) -> Option<f64> {
        mean_over_texts(&self.text_rows(policy, budget), quantity)
    }

    /// Returns the mean of one policy minus another on the texts that both have.
    pub(super) fn difference(
        &self,
        [own, other]: [&str; 2],
        budget: f64,
        quantity: Quantity,
    ) -> Option<Difference> {
        difference(&self.text_rows(own, budget), &self.text_rows(other, budget), quantity)
    }

    /// Returns the mean of one policy minus each draw of another, which is random, in the order of the draws.
    pub(super) fn differences_by_draw(
        &self,
        [own, random]: [&str; 2],
        budget: f64,
        quantity: Quantity,
    ) -> Vec<f64> {
        let own = self.text_rows(own, budget);
        let draws = by_draw(&self.text_rows(random, budget)).into_iter();
        draws.filter_map(|draw| Some(difference(&own, &draw, quantity)?.estimate.value)).collect()
    }

    /// Returns the number of draws of a random policy at a budget.
    pub(super) fn draws(&self, policy: &str, budget: f64) -> usize {
        by_draw(&self.text_rows(policy, budget)).len()
    }

    /// Returns the rows of policies at these budgets on one task, and the command that measures them again,
    /// with the checks of the model.
    pub(super) fn evidence(&self, policies: &[&str], budgets: &[f64], task: &str) -> Evidence {
        command::cells(self.run, self.model, policies, budgets, task)
    }

    /// Returns the fraction of the cache that was kept, over all texts, or `None` if the run has no such
    /// texts.
    pub(super) fn realised(&self, policy: &str, budget: f64) -> Option<f64> {
        let cells = self.text_rows(policy, budget);
        let sum = |value: fn(&GridRow) -> Option<usize>| {
            cells.iter().filter_map(|c| value(c)).sum::<usize>() as f64
        };
        let full = sum(|c| c.full_entries);
        (full > 0.0).then(|| sum(|c| c.kept_entries) / full)
    }
}
