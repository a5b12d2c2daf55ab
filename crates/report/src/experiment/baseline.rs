//! Differences between policies and the baselines that they must beat, paired by text.

use super::difference_table::{Cell, DifferenceTable};
use super::measure::{Measure, explain_baseline};
use super::slice::{Contender, Slice};
use crate::policies::{self, explain_marks};
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
    pub(super) fn name(self) -> &'static str {
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
    ) -> Cell {
        let other = self.find(slice, own.policy).filter(|_| own.role != PolicyRole::Full);
        let found = other.and_then(|other| slice.difference([own.policy, other], budget, measure));
        Cell::Difference(*measure, found)
    }
}

/// Returns the table of a measure of every policy minus that of its baseline, in groups by role, or `None` if
/// no policy has a baseline.
pub(super) fn differences(
    slice: &Slice<'_>,
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> Option<Table> {
    finish(all_differences(slice, caption, baseline, measure), measure)
}

/// Returns the same table before it is printed.
pub(super) fn all_differences(
    slice: &Slice<'_>,
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> DifferenceTable {
    let contenders = slice.contenders();
    let mut groups = Vec::new();
    for own in contenders.chunk_by(|a, b| a.role == b.role) {
        groups.push((policies::heading(own[0].role).to_owned(), slice, own.to_vec()));
    }
    by_policy(&groups, &slice.budgets(), caption, baseline, measure)
}

/// Returns such a table with a group for each slice, under its heading.
pub(super) fn grouped_differences(
    slices: &[(String, Slice<'_>)],
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> Option<Table> {
    let mut groups = Vec::new();
    for (label, slice) in slices {
        groups.push((label.clone(), slice, slice.contenders()));
    }
    finish(by_policy(&groups, &budgets_of(slices), caption, baseline, measure), measure)
}

/// A group of policies of a table: its label, the slice with the rows, and the policies.
type Group<'s, 'r> = (String, &'s Slice<'r>, Vec<Contender<'r>>);

/// Returns a table of differences with a column for each budget.
fn by_policy(
    groups: &[Group<'_, '_>],
    budgets: &[AskedBudget],
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> DifferenceTable {
    let caption = format!("{caption}: {}", measure.difference_title(baseline.name()));
    let mut table = DifferenceTable::new(Table::with_number_columns(caption, "policy", budgets));
    for (label, slice, contenders) in groups {
        table.group(label.clone());
        for contender in contenders {
            let cells = budgets.iter().map(|budget| baseline.difference(slice, *contender, *budget, measure));
            table.row(contender.marked(), cells);
        }
    }
    table
}

/// Adds the notes and returns the table, or `None` if it has no rows.
fn finish(table: DifferenceTable, measure: &Measure) -> Option<Table> {
    let mut table = table.finish();
    explain_marks(&mut table);
    explain_baseline(&mut table, measure);
    table.unless_empty()
}

/// Returns the budgets of all slices, in order of first appearance.
pub(super) fn budgets_of(slices: &[(String, Slice<'_>)]) -> Vec<AskedBudget> {
    crate::unique(slices.iter().flat_map(|(_, slice)| slice.budgets()))
}
