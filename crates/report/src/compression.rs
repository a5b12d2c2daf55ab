//! The compression claim: what each policy keeps and what that costs.

mod self_check;
mod summary;
#[cfg(test)]
mod tests;

use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::format::{count, estimate, fixed, megabytes, optional, percent, significant};
use crate::interval::Estimate;
use crate::table::{Align, Table};
use crate::unique;

pub use self_check::{SelfCheck, self_check};
pub use summary::{BudgetSummary, FULL, ModelCompression, PolicySummary, summaries};

/// How the columns of the compression tables are to be read; said once above them.
pub(crate) const READING: &str = "An entry is one key with its value in one layer and KV head; counts are means over \
texts. KL, agreement and Δ NLL are relative to the full cache on the same targets: means over texts with bootstrap \
intervals over texts, paired by text for Δ NLL. Perplexity weighs texts by their targets. Recall has Wilson's interval \
over questions.";

/// Columns of the compression tables, and whether a terminal shows them.
const COLUMNS: [(&str, Align, bool); 14] = [
    ("policy", Align::Left, true),
    ("asked entries", Align::Right, false),
    ("kept entries", Align::Right, false),
    ("kept %", Align::Right, true),
    ("cache MB", Align::Right, true),
    ("preservation %", Align::Right, true),
    ("retained mass %", Align::Right, false),
    ("KL, nats [95 % CI]", Align::Right, true),
    ("agreement % [95 % CI]", Align::Right, false),
    ("perplexity", Align::Right, true),
    ("bits / byte", Align::Right, false),
    ("Δ NLL, nats [95 % CI]", Align::Right, true),
    ("recall % [95 % CI]", Align::Right, false),
    ("texts", Align::Right, false),
];

/// One table for each compression asked for; budget 1 is left to [`self_check`].
pub fn tables(model: &ModelCompression) -> Vec<Table> {
    let asked = model.budgets.iter().filter(|at| at.budget < 1.0);
    asked.map(|at| table(&model.model, at)).collect()
}

fn table(model: &str, at: &BudgetSummary) -> Table {
    let columns = COLUMNS.map(|(title, align, _)| (title, align));
    let factor = significant(1.0 / at.budget, 3);
    let factor =
        if factor.contains('.') { factor.trim_end_matches('0').trim_end_matches('.') } else { &factor };
    let caption = format!("{model}: {factor}x compression asked ({} % kept)", percent(at.budget));
    let mut table = Table::new(caption, &columns);
    let shown: Vec<&str> = COLUMNS.iter().filter(|column| column.2).map(|column| column.0).collect();
    table.narrow(&shown);
    for policy in &at.policies {
        table.push(row(policy));
    }
    if at.policies.iter().any(|p| p.oracle) {
        table.note(
            "† Oracle: selects with the attention it is about to approximate; no cache can be built so.",
        );
    }
    if at.policies.iter().any(|p| !p.conserving) {
        table.note("‡ Does not keep the number of entries asked for: compare it by what it kept.");
    }
    table
}

fn row(p: &PolicySummary) -> Vec<String> {
    let three = |value: f64| significant(value, 3);
    vec![
        marked(p),
        count(p.asked),
        count(p.kept),
        percent(p.fraction),
        megabytes(p.bytes),
        optional(p.preservation, |v| fixed(100.0 * v, 2)),
        optional(p.retained_mass, percent),
        estimate(p.kl, three),
        estimate(p.agreement, percent),
        optional(p.perplexity, |v| significant(v, 4)),
        optional(p.bits_per_byte, |v| fixed(v, 3)),
        estimate(p.delta_nll, three),
        estimate(p.recall, percent),
        p.texts.to_string(),
    ]
}

/// The policy's name with its marks.
fn marked(p: &PolicySummary) -> String {
    let oracle = if p.oracle { " †" } else { "" };
    let loose = if p.conserving { "" } else { " ‡" };
    format!("{}{oracle}{loose}", p.policy)
}

/// KL, agreement and recall against the fraction really kept, one line a policy; charts without values are left
/// out.
pub fn charts(model: &ModelCompression) -> Vec<Chart> {
    let kinds: [(&str, Scale, Metric); 3] = [
        ("KL, nats", Scale::Log, |p| p.kl),
        ("agreement", Scale::Unit, |p| p.agreement),
        ("recall", Scale::Unit, |p| p.recall),
    ];
    let charts = kinds.map(|(what, scale, of)| Chart {
        title: format!("{}: {what} against fraction kept", model.model),
        x: Axis { label: "fraction of cache kept".to_owned(), scale: Scale::Unit },
        y: Axis { label: what.to_owned(), scale },
        series: series(model, of),
    });
    charts.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

/// What a chart shows of a policy.
type Metric = fn(&PolicySummary) -> Option<Estimate>;

fn series(model: &ModelCompression, of: Metric) -> Vec<Series> {
    let all = || model.budgets.iter().flat_map(|at| &at.policies).filter(|p| p.policy != FULL);
    let line = |name: &str| {
        let own = || all().filter(|p| p.policy == name);
        let point =
            |p: &PolicySummary| of(p).map(|e| Point { x: p.fraction, y: e.value, interval: e.interval });
        // Marks may differ from budget to budget: a rule that overshoots need not do so at 1.
        let label = own().max_by_key(|p| marked(p).len()).map_or_else(String::new, marked);
        Series { label, points: own().filter_map(point).collect() }
    };
    let names = unique(all().map(|p| p.policy.as_str())).into_iter();
    names.map(line).filter(|series| !series.points.is_empty()).collect()
}
