//! Differences between policies and the baselines that they must beat, paired by text.

use super::matrix::filled;
use super::measure::{Measure, tell};
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

    fn named(self) -> &'static str {
        match self {
            Self::Uniform => "uniform with the same scorer",
            Self::Random => "uniform+random",
        }
    }

    /// The policy of the slice that this one is compared with.
    fn of<'a>(self, slice: &Slice<'a>, policy: &str) -> Option<&'a str> {
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
        // Of several, the one as it is by default.
        let found = others.filter(|(text, _)| is_other(text));
        found.min_by_key(|(text, _)| options(text)).map(|(_, other)| other)
    }

    /// A policy less its baseline, where it has one. The full cache keeps more, so that its difference would
    /// say nothing.
    fn less(self, slice: &Slice<'_>, own: Contender<'_>, budget: AskedBudget, measure: &Measure) -> String {
        let other = self.of(slice, own.policy).filter(|_| own.role != PolicyRole::Full);
        other.map_or_else(|| MISSING.to_owned(), |other| slice.less(own.policy, other, budget, measure))
    }
}

/// A measure of every policy less that of its baseline, for texts.
pub(super) fn against(
    slice: &Slice<'_>,
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> Option<Table> {
    let caption = format!("{caption}: {}", measure.less(baseline.named()));
    let mut table =
        filled(slice, &caption, |contender, budget| baseline.less(slice, contender, budget, measure));
    tell(&mut table, measure);
    table.unless_empty()
}

/// The same for several slices in groups, each with its heading.
pub(super) fn against_in_groups(
    slices: &[(String, Slice<'_>)],
    caption: &str,
    baseline: Baseline,
    measure: &Measure,
) -> Option<Table> {
    let budgets = budgets_of(slices);
    let caption = format!("{caption}: {}", measure.less(baseline.named()));
    let mut table = Table::of_numbers(caption, "policy", &budgets);
    for (label, slice) in slices {
        table.group(label.clone());
        for contender in slice.contenders() {
            let cell = |budget: &AskedBudget| baseline.less(slice, contender, *budget, measure);
            table.row_if_any(contender.marked(), budgets.iter().map(cell));
        }
    }
    explain_marks(&mut table);
    tell(&mut table, measure);
    table.unless_empty()
}

/// Returns the budgets of all slices, in order of first appearance.
pub(super) fn budgets_of(slices: &[(String, Slice<'_>)]) -> Vec<AskedBudget> {
    crate::unique(slices.iter().flat_map(|(_, slice)| slice.budgets()))
}
