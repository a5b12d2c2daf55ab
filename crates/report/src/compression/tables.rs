//! Policies side by side: quality at each budget, sizes behind it, and a selection for a terminal.

use super::{BudgetSummary, Kind, ModelCompression, PolicySummary, factor, marked};
use crate::format::{count, estimate, fixed, megabytes, optional, percent, significant};
use crate::interval::Estimate;
use crate::table::{Align, Table};

const ORACLE: &str = "† Selects with attention that comes after the cut (oracle scorers), or with the row that preservation is computed on.";
const LOOSE: &str = "‡ Does not keep the number of entries asked for: compare it by what it kept.";

/// One table for each compression asked for; budget 1 is left to [`self_check`](fn@super::self_check).
pub fn tables(model: &ModelCompression) -> Vec<Table> {
    asked(model).map(|at| quality(&model.model, at)).collect()
}

fn asked(model: &ModelCompression) -> impl Iterator<Item = &BudgetSummary> {
    model.budgets.iter().filter(|at| at.budget < 1.0)
}

fn quality(model: &str, at: &BudgetSummary) -> Table {
    let columns = [
        ("policy", Align::Left),
        ("kept %", Align::Right),
        ("KL, nats [95 % CI]", Align::Right),
        ("agreement % [95 % CI]", Align::Right),
        ("perplexity", Align::Right),
        ("Δ NLL, nats [95 % CI]", Align::Right),
        ("recall % [95 % CI]", Align::Right),
        ("preservation %", Align::Right),
    ];
    let caption = format!("{model}: {} compression asked ({} % kept)", factor(at.budget), percent(at.budget));
    let mut table = Table::new(caption, &columns);
    push_grouped(&mut table, at, |p| {
        vec![
            percent(p.fraction),
            estimate(bare_reference(p, p.kl), three),
            estimate(bare_reference(p, p.agreement), percent),
            perplexity(p),
            estimate(p.delta_nll, |v| fixed(v, 4)),
            estimate(p.recall, percent),
            optional(p.preservation, |v| fixed(100.0 * v, 2)),
        ]
    });
    explain_marks(&mut table, &at.policies.iter().map(marked).collect::<String>());
    table
}

/// What stands behind the fractions: entries, bytes, attention mass and texts, all budgets in one table.
pub fn sizes(model: &ModelCompression) -> Table {
    let columns = [
        ("policy", Align::Left),
        ("asked entries", Align::Right),
        ("kept entries", Align::Right),
        ("cache MB", Align::Right),
        ("retained mass %", Align::Right),
        ("bits / byte", Align::Right),
        ("texts", Align::Right),
    ];
    let mut table = Table::new(format!("{}: entries and bytes", model.model), &columns);
    for at in asked(model) {
        table.group(format!("{} asked", factor(at.budget)));
        for p in ordered(&at.policies) {
            table.push(vec![
                marked(p),
                count(p.asked),
                count(p.kept),
                megabytes(p.bytes),
                optional(p.retained_mass, percent),
                optional(p.bits_per_byte, |v| fixed(v, 3)),
                p.texts.to_string(),
            ]);
        }
    }
    table.note("An entry is one key with its value in one layer and KV head; counts are means over texts.");
    table
}

/// What the selection of [`brief`] is; said once below the tables.
pub(crate) const SELECTION: &str = "At each compression: the published rules, then the rival, the control and the oracle \
of lowest KL. † selects with the attention it is judged by; ‡ does not keep to its budget.";

/// A selection for a terminal: at each budget the published rules, the best rival and control, and the bound.
pub fn brief(model: &ModelCompression) -> Table {
    let columns = [
        ("policy", Align::Left),
        ("asked", Align::Right),
        ("realised", Align::Right),
        ("KL, nats [95 % CI]", Align::Right),
        ("agreement %", Align::Right),
        ("perplexity", Align::Right),
        ("recall %", Align::Right),
        ("preserved %", Align::Right),
    ];
    let mut table = Table::new(caption(model), &columns);
    for at in asked(model) {
        table.extend(selection(&at.policies).into_iter().map(|p| {
            vec![
                marked(p),
                factor(at.budget),
                format!("{}x", fixed(1.0 / p.fraction, 2)),
                estimate(p.kl, three),
                point(p.agreement),
                perplexity(p),
                point(p.recall),
                optional(p.preservation, |v| fixed(100.0 * v, 2)),
            ]
        }));
    }
    table
}

/// The caption of a brief table, with the full cache's own scores.
fn caption(model: &ModelCompression) -> String {
    let full = model.budgets.iter().flat_map(|at| &at.policies).find(|p| p.kind() == Kind::Full);
    let scores = full.map_or_else(Vec::new, |p| {
        let recall = p.recall.map(|_| format!("recall {} %", point(p.recall)));
        p.perplexity.map(|_| format!("perplexity {}", perplexity(p))).into_iter().chain(recall).collect()
    });
    let scores =
        if scores.is_empty() { String::new() } else { format!(" (full cache: {})", scores.join(", ")) };
    format!("{}: cost of compression{scores}", model.model)
}

fn point(estimate: Option<Estimate>) -> String {
    optional(estimate.map(|e| e.value), percent)
}

fn perplexity(p: &PolicySummary) -> String {
    optional(p.perplexity, |v| significant(v, 4))
}

/// Every published rule, and the first of each other kind but the full cache.
fn selection(policies: &[PolicySummary]) -> Vec<&PolicySummary> {
    let mut last = None;
    let chosen = ordered(policies).into_iter().filter(|p| {
        let first = last.replace(p.kind()) != Some(p.kind());
        p.kind() != Kind::Full && (first || p.kind() == Kind::Published)
    });
    chosen.collect()
}

/// By kind, then by rising KL; what has no KL comes last.
pub(super) fn ordered(policies: &[PolicySummary]) -> Vec<&PolicySummary> {
    let mut ordered: Vec<&PolicySummary> = policies.iter().collect();
    let kl = |p: &PolicySummary| p.kl.map_or(f64::INFINITY, |kl| kl.value);
    ordered.sort_by(|a, b| a.kind().cmp(&b.kind()).then(kl(a).total_cmp(&kl(b))));
    ordered
}

fn push_grouped(table: &mut Table, at: &BudgetSummary, values: impl Fn(&PolicySummary) -> Vec<String>) {
    let mut kind = None;
    for p in ordered(&at.policies) {
        // The full cache stands first and needs no heading.
        if kind.replace(p.kind()) != Some(p.kind()) && p.kind() != Kind::Full {
            table.group(p.kind().heading());
        }
        table.push([vec![marked(p)], values(p)].concat());
    }
}

/// Notes for the marks that the names have.
pub(crate) fn explain_marks(table: &mut Table, names: &str) {
    for (mark, note) in [('†', ORACLE), ('‡', LOOSE)] {
        if names.contains(mark) {
            table.note(note);
        }
    }
}

/// The full cache differs from itself by nothing, which is no estimate.
fn bare_reference(p: &PolicySummary, estimate: Option<Estimate>) -> Option<Estimate> {
    let bare = |e: Estimate| Estimate { interval: e.interval.filter(|_| p.kind() != Kind::Full), ..e };
    estimate.map(bare)
}

fn three(value: f64) -> String {
    significant(value, 3)
}
