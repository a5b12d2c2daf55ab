//! Compares the order of policies between a BitNet and the same weights as a plain Llama.

use super::difference_table::{Cell, DifferenceTable};
use super::failures::TOLERANCE;
use super::measure::KL;
use super::quantity::{Quantity, mean_over_texts};
use super::slice::{Slice, heading};
use crate::policies::explain_marks;
use crate::table::Table;
use bitkv_record::{AskedBudget, Axes, Form, PolicyRole};
use bitkv_stats::spearman;

/// Returns the table that compares the order of policies in both forms. Each budget is a group with the rank
/// correlation of the policies' mean KL; its rows are the neighbours in the trained network's order, with
/// their difference in both forms. Returns `None` unless both forms were measured.
pub(super) fn order(slices: &[Slice<'_>], caption: &str) -> Option<Table> {
    let trained = slices.iter().find(|slice| slice.axes.form == Form::True)?;
    let plain = Axes { form: Form::PlainLlama, ..trained.axes };
    let other = slices.iter().find(|slice| slice.axes == plain)?;
    let table = Table::titled(
        format!("{caption}: order of policies by mean KL in both forms, nats"),
        "neighbours, lower KL in the trained network first|>second minus first, trained|\
         >second minus first, plain Llama|order",
    );
    let mut table = DifferenceTable::new(table);
    for budget in trained.budgets() {
        let ranked = ranked(trained, other, budget);
        table.group(summary(&ranked, budget));
        for pair in ranked.windows(2) {
            let policies = [pair[1].policy, pair[0].policy];
            let cell = |slice: &Slice<'_>| Cell::Difference(KL, slice.difference(policies, budget, &KL));
            let name = |i: usize| trained.contender(pair[i].policy).marked();
            let order = if changes_places(pair) { "changes" } else { "same" };
            let names = format!("{}, {}", name(0), name(1));
            table.row(names, [cell(trained), cell(other), Cell::Text(order.to_owned())]);
        }
    }
    let mut table = table.finish();
    explain_marks(&mut table);
    table.unless_empty()
}

/// The fewest policies whose order is compared.
const FEWEST: usize = 3;

/// A policy with its mean KL in both forms, nats.
struct Ranked<'a> {
    policy: &'a str,
    trained: f64,
    other: f64,
}

/// Returns the policies that were measured in both forms, by rising mean KL of the trained network.
fn ranked<'a>(trained: &Slice<'a>, other: &Slice<'_>, budget: AskedBudget) -> Vec<Ranked<'a>> {
    let kl = |slice: &Slice<'_>, policy: &str| mean_over_texts(&slice.at(policy, budget), Quantity::KL);
    let evicting =
        trained.policies().into_iter().filter(|policy| trained.contender(policy).role != PolicyRole::Full);
    let both = evicting.filter_map(|policy| {
        Some(Ranked { policy, trained: kl(trained, policy)?, other: kl(other, policy)? })
    });
    // Policies that change nothing have no order.
    let changes = |policy: &Ranked<'_>| policy.trained.max(policy.other) > TOLERANCE;
    let mut ranked: Vec<Ranked<'_>> = both.filter(changes).collect();
    ranked.sort_by(|a, b| a.trained.total_cmp(&b.trained));
    ranked
}

/// Returns whether two neighbours of the trained network's order have the opposite order in the other form.
fn changes_places(pair: &[Ranked<'_>]) -> bool {
    pair[0].other > pair[1].other
}

/// Returns the heading of a budget's group.
fn summary(ranked: &[Ranked<'_>], budget: AskedBudget) -> String {
    let values = |kl: fn(&Ranked<'_>) -> f64| ranked.iter().map(kl).collect::<Vec<f64>>();
    let correlation = spearman(&values(|policy| policy.trained), &values(|policy| policy.other))
        .filter(|_| ranked.len() >= FEWEST);
    let correlation = correlation.map_or_else(String::new, |r| format!("rank correlation {r:.3}, "));
    let changed = ranked.windows(2).filter(|pair| changes_places(pair)).count();
    let pairs = ranked.len().saturating_sub(1);
    format!("{}: {correlation}{changed} of {pairs} neighbours change places", heading(budget))
}
