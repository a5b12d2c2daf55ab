//! Differences between policies and the baselines that they must beat, paired by text.

use super::matrix::table_of_cells;
use super::measure::{Measure, explain_differences};
use super::slice::{Contender, Slice};
use crate::format::MISSING;
use crate::policies::explain_marks;
use crate::table::Table;
use bitkv_record::{AskedBudget, PolicyRole, PolicyText};

/// A baseline that policies are compared with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Baseline {
    /// The uniform allocator with the same scorer.
    Uniform,
    /// Random choice with uniform budgets.
    Random,
}

impl Baseline {
    pub(super) const ALL: [Self; 2] = [Self::Uniform, Self::Random];

    /// Returns the name in captions.
    fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform with the same scorer",
            Self::Random => "uniform+random",
        }
    }

    /// Returns the policy of the slice that `policy` is compared with, if it was measured.
    fn find<'a>(self, slice: &Slice<'a>, policy: &str) -> Option<&'a str> {
        let own = PolicyText::new(policy);
        let is_other = |other: &PolicyText| match self {
            Self::Uniform => {
                own.parts.len() == 2
                    && !own.is_uniform()
                    && other.is_uniform()
                    && other.parts[1..] == own.parts[1..]
            }
            Self::Random => other.is_random_choice() && *other != own,
        };
        let others = slice.policies().into_iter().map(|other| (PolicyText::new(other), other));
        let options = |other: &PolicyText| other.parts.iter().map(|part| part.options.len()).sum::<usize>();
        // If several policies match, the one with the fewest options is the default.
        let matching = others.filter(|(text, _)| is_other(text));
        matching.min_by_key(|(text, _)| options(text)).map(|(_, other)| other)
    }

    /// Returns a policy minus its baseline as a cell. The cell is missing if there is no baseline, and for
    /// the full cache, which keeps more.
    fn difference(
        self,
        slice: &Slice<'_>,
        own: Contender<'_>,
        budget: AskedBudget,
        measure: &Measure,
    ) -> String {
        let other = self.find(slice, own.policy).filter(|_| own.role != PolicyRole::Full);
        other.map_or_else(
            || MISSING.to_owned(),
            |other| slice.difference_cell(own.policy, other, budget, measure),
        )
    }
}

/// Returns the table of a measure of every policy minus that of its baseline, or `None` if no policy has a
/// baseline.
pub(super) fn differences(
    slice: &Slice<'_>,
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> Option<Table> {
    let caption = format!("{caption}: {}", measure.difference_title(baseline.name()));
    let mut table = table_of_cells(slice, &caption, |contender, budget| {
        baseline.difference(slice, contender, budget, measure)
    });
    explain_differences(&mut table, measure);
    table.unless_empty()
}

/// Returns such a table with a group for each slice, under its heading.
pub(super) fn grouped_differences(
    slices: &[(String, Slice<'_>)],
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> Option<Table> {
    let budgets = budgets_of(slices);
    let caption = format!("{caption}: {}", measure.difference_title(baseline.name()));
    let mut table = Table::with_number_columns(caption, "policy", &budgets);
    for (label, slice) in slices {
        table.group(label.clone());
        for contender in slice.contenders() {
            let cell = |budget: &AskedBudget| baseline.difference(slice, contender, *budget, measure);
            table.row_if_any(contender.marked(), budgets.iter().map(cell));
        }
    }
    explain_marks(&mut table);
    explain_differences(&mut table, measure);
    table.unless_empty()
}

/// Returns the budgets of all slices, in order of first appearance.
pub(super) fn budgets_of(slices: &[(String, Slice<'_>)]) -> Vec<AskedBudget> {
    crate::unique(slices.iter().flat_map(|(_, slice)| slice.budgets()))
}
