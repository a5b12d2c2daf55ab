//! The answers on the first screen: the verdicts of claims or, without claims, what the pairs of the
//! definition show, or which policy loses least.

use super::data::{ChartData, ForestPanel, ForestRow, LineData, PanelData};
use crate::claims::Claim;
use crate::escape::{html as escape, slug};
use crate::experiment::Interactive;
use crate::format::significant;
use crate::sections::{because, counts};
use crate::{Run, unique};

/// The most answers of the first screen.
const MOST: usize = 8;

/// One answer: a badge, what it is about, and why.
pub(super) struct Answer {
    /// The class of the badge, which chooses its colour.
    class: String,
    badge: String,
    title: String,
    because: String,
}

impl Answer {
    /// Returns the answer as an item of a list.
    fn html(&self) -> String {
        format!(
            "<li class=\"answer\"><p><span class=\"badge {}\">{}</span> <strong>{}</strong></p>\n<p>{}</p></li>\n",
            self.class,
            escape(&self.badge),
            escape(&self.title),
            escape(&self.because)
        )
    }
}

/// Returns whether the pairs of the definition answer the question of a run. They do not if the run has
/// claims, if `bitkv sweep` made it, which asks for the best policy, and if no pair has enough texts for a
/// test.
pub(super) fn are_about_pairs(run: &Run<'_>, experiments: &[(&str, Interactive)]) -> bool {
    let is_sweep = run.manifest.command.get(1).is_some_and(|command| command == "sweep");
    let has_pairs = run.definition.experiments.iter().any(|experiment| !experiment.pairs.is_empty());
    let mut rows = experiments.iter().flat_map(|(_, own)| &own.forest.panels).flat_map(|panel| &panel.rows);
    run.definition.claims.is_empty() && !is_sweep && has_pairs && rows.any(|row| !row.verdict.is_empty())
}

/// Returns the list of answers; empty if the run has none.
pub(super) fn list(run: &Run<'_>, claims: &[Claim], experiments: &[(&str, Interactive)]) -> String {
    let answers: Vec<Answer> = if !claims.is_empty() {
        claims.iter().map(claim_answer).collect()
    } else if are_about_pairs(run, experiments) {
        experiments.iter().flat_map(|(_, own)| pair_answers(&own.forest.panels)).collect()
    } else {
        experiments.iter().flat_map(|(_, own)| chart_answers(&own.chart)).collect()
    };
    let more = answers.len().saturating_sub(MOST);
    let items: String = answers.iter().take(MOST).map(Answer::html).collect();
    let more = match more {
        0 => String::new(),
        more => format!("<p class=\"note\">{more} more are in the sections below.</p>\n"),
    };
    if items.is_empty() { items } else { format!("<ul class=\"answers\">\n{items}</ul>\n{more}") }
}

/// Returns the verdict on a claim, with the statement that decides it.
fn claim_answer(claim: &Claim) -> Answer {
    let name = claim.verdict.name();
    let because = because(claim).map_or_else(String::new, |because| format!("Because {because}. "));
    Answer {
        class: slug(name),
        badge: name.to_owned(),
        title: claim.title.clone(),
        because: format!("{because}Statements: {}.", counts(claim)),
    }
}

/// Returns what each pair of the definition shows in each panel, in KL or in right answers.
fn pair_answers(panels: &[ForestPanel]) -> Vec<Answer> {
    let panel_answers = |panel: &ForestPanel| {
        let Some((model, _)) = panel.name.rsplit_once(": pairs of the definition") else { return Vec::new() };
        let labels = unique(panel.rows.iter().map(|row| row.label.as_str()));
        labels.into_iter().filter_map(|label| pair_answer(model, label, &panel.rows)).collect()
    };
    panels.iter().flat_map(panel_answers).collect()
}

/// Returns what one pair shows: the verdict at each budget, and the first number that decides.
fn pair_answer(model: &str, label: &str, rows: &[ForestRow]) -> Option<Answer> {
    let first = &rows.iter().find(|row| row.label == label)?.measure;
    let own: Vec<&ForestRow> =
        rows.iter().filter(|row| row.label == label && row.measure == *first).collect();
    let word = |row: &ForestRow| match row.verdict.as_str() {
        "" => "not tested".to_owned(),
        both if both.contains(", ") => both.rsplit(", ").next().unwrap_or(both).to_owned(),
        verdict => verdict.split(" within ").next().unwrap_or(verdict).to_owned(),
    };
    let words = unique(own.iter().map(|row| word(row)));
    let with_budgets = |wanted: &String| {
        let budgets = own.iter().filter(|row| word(row) == *wanted).map(|row| row.budget.as_str());
        format!("{wanted} at {}", budgets.collect::<Vec<_>>().join(", "))
    };
    let deciding = own.iter().find(|row| ["better", "worse"].contains(&word(row).as_str())).or(own.first())?;
    let badge = if words.len() == 1 { words[0].clone() } else { "mixed".to_owned() };
    let class = match badge.as_str() {
        "better" => "holds",
        "worse" => "does-not-hold",
        "mixed" | "equivalent" => "partly-holds",
        _ => "not-tested",
    };
    let decisions = words.iter().map(with_budgets).collect::<Vec<_>>().join("; ");
    Some(Answer {
        class: class.to_owned(),
        badge,
        title: format!("{label}, {model}"),
        because: format!("{}: {decisions}. {}", deciding.measure, number(deciding)),
    })
}

/// Returns the number of a difference with its interval.
fn number(row: &ForestRow) -> String {
    let (factor, unit) = if row.unit.is_empty() { (100.0, "percentage points") } else { (1.0, &*row.unit) };
    let print = |value: f64| significant(factor * value, 3);
    let interval = match row.interval[..] {
        [Some(low), Some(high)] => format!(" [{}, {}]", print(low), print(high)),
        _ => String::new(),
    };
    format!("At {} it is {}{interval} {unit} on {} texts or contexts.", row.budget, print(row.value), row.n)
}

/// Returns the policy with the best value of the first measure at each budget of each panel.
fn chart_answers(chart: &ChartData) -> Vec<Answer> {
    chart.panels.iter().flat_map(panel_answers).collect()
}

/// Returns the best policy at each budget of a panel.
fn panel_answers(panel: &PanelData) -> Vec<Answer> {
    let Some(measure) = panel.measures.first() else { return Vec::new() };
    let methods = || panel.lines.iter().filter(|line| !line.faint && !line.marks);
    let budgets = unique(methods().flat_map(|line| &line.points[0]).map(|point| point.label.as_str()));
    let value = |line: &LineData, budget: &str| {
        let point = line.points[0].iter().find(|point| point.label == budget)?;
        Some((point.y[0]?, point.y[1].zip(point.y[2]), point.n))
    };
    let best = |budget: &str| {
        let found = methods().filter_map(|line| Some((line, value(line, budget)?)));
        let sign = -f64::from(measure.better);
        let (line, (best, interval, n)) = found.min_by(|a, b| (sign * a.1.0).total_cmp(&(sign * b.1.0)))?;
        let print = |value| significant(value, 3);
        let interval =
            interval.map_or_else(String::new, |(low, high)| format!(" [{}, {}]", print(low), print(high)));
        Some(Answer {
            class: "not-tested".to_owned(),
            badge: format!("budget {budget}"),
            title: format!("{} has the best {}, {}", line.name, measure.name, panel.name),
            because: format!("{}{interval} {} on {n} texts.", print(best), measure.unit),
        })
    };
    budgets.into_iter().filter_map(best).collect()
}
