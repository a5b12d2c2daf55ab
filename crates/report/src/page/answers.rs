//! The answers on the first screen: the verdicts of claims or, without claims, what the pairs of the
//! definition show, or which policy loses least.

use super::data::{BoardData, ForestPanel, ForestRow, RankData};
use crate::claims::Claim;
use crate::escape::{html as escape, slug};
use crate::experiment::{self, Interactive};
use crate::format::{estimate, significant};
use crate::interval::Estimate;
use crate::kinds::Kinds;
use crate::sections::{because, counts};
use crate::{Run, unique};
use bitkv_record::listed;

/// The most answers of the first screen.
const MOST: usize = 6;

/// One answer: a badge, what it is about, and why.
struct Answer {
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

    /// Returns whether something was decided.
    fn is_decided(&self) -> bool {
        self.class != UNDECIDED
    }
}

/// The class of a badge that decides nothing.
const UNDECIDED: &str = "not-tested";

/// Returns whether the pairs of the definition answer the question of a run. They do not if the run has
/// claims, if `bitkv sweep` made it, which asks for the best policy, and if no pair has enough texts for a
/// test.
pub(super) fn are_about_pairs(run: &Run<'_>, experiments: &[(&str, Interactive)]) -> bool {
    let is_sweep = run.manifest.command.get(1).is_some_and(|command| command == "sweep");
    let has_pairs = run.definition.experiments.iter().any(|experiment| !experiment.pairs.is_empty());
    let mut rows = experiments.iter().flat_map(|(_, own)| &own.forest.panels).flat_map(|panel| &panel.rows);
    run.definition.claims.is_empty()
        && !is_sweep
        && has_pairs
        && rows.any(|row| !matches!(row.verdict.as_str(), "" | "identical"))
}

/// Returns the list of answers; empty if the run has none. Decided answers are first.
pub(super) fn list(run: &Run<'_>, claims: &[Claim], experiments: &[(&str, Interactive)]) -> String {
    let mut answers: Vec<Answer> = if !claims.is_empty() {
        claims.iter().map(claim_answer).collect()
    } else if are_about_pairs(run, experiments) {
        let of_experiment =
            |(name, own): &(&str, Interactive)| pair_answers(&named(name, experiments), &own.forest.panels);
        experiments.iter().flat_map(of_experiment).collect()
    } else {
        let of_experiment =
            |(name, _): &(&str, Interactive)| best_answers(run, name, &named(name, experiments));
        experiments.iter().flat_map(of_experiment).collect()
    };
    if claims.is_empty() {
        answers.sort_by_key(|answer| !answer.is_decided());
    }
    let more = answers.len().saturating_sub(MOST);
    let items: String = answers.iter().take(MOST).map(Answer::html).collect();
    let more = match more {
        0 => String::new(),
        more => format!("<p class=\"note\">{more} more are in the sections below.</p>\n"),
    };
    if items.is_empty() { items } else { format!("<ul class=\"answers\">\n{items}</ul>\n{more}") }
}

/// Returns the end of a title that names the experiment, if a run has several.
fn named(name: &str, experiments: &[(&str, Interactive)]) -> String {
    if experiments.len() > 1 { format!(", {name}") } else { String::new() }
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

/// Returns what each pair of the definition shows in each panel. `experiment` is the end of the titles.
fn pair_answers(experiment: &str, panels: &[ForestPanel]) -> Vec<Answer> {
    let of_panel = |panel: &ForestPanel| {
        let Some((model, _)) = panel.name.rsplit_once(": pairs of the definition") else { return Vec::new() };
        let labels = unique(panel.rows.iter().map(|row| row.label.as_str()));
        let of_label = |label: &str| panel.rows.iter().filter(|row| row.label == label).collect::<Vec<_>>();
        labels
            .into_iter()
            .map(|label| pair_answer(&format!("{label}, {model}{experiment}"), &of_label(label)))
            .collect()
    };
    panels.iter().flat_map(of_panel).collect()
}

/// Returns what one pair shows in all measures: the verdicts in each, and the first difference that decides.
fn pair_answer(title: &str, rows: &[&ForestRow]) -> Answer {
    let measures = unique(rows.iter().map(|row| row.measure.split(": ").next().unwrap_or_default()));
    let of_measure = |measure: &str| {
        rows.iter().filter(|row| row.measure.starts_with(measure)).copied().collect::<Vec<_>>()
    };
    let verdicts = |measure: &&str| format!("{}.", verdicts(measure, &of_measure(measure)));
    let is_decided = |row: &&&ForestRow| ["better", "worse"].contains(&word(row));
    let shown = rows.iter().find(is_decided).or(rows.first());
    let number = shown.map_or_else(String::new, |row| number(row));
    let said: Vec<String> = measures.iter().map(verdicts).collect();
    let (badge, class) = badge(rows);
    let because = format!("{} {number}", said.join(" "));
    Answer { class: class.to_owned(), badge: badge.to_owned(), title: title.to_owned(), because }
}

/// Returns the first word of a verdict: the difference, if one was found, before an equivalence.
fn word(row: &ForestRow) -> &str {
    let last = row.verdict.rsplit(", ").next().unwrap_or_default();
    last.split(' ').next().filter(|word| !word.is_empty()).unwrap_or("not tested")
}

/// Returns the verdicts of a pair on one measure: with their budgets, or as counts if there are several
/// tasks.
fn verdicts(measure: &str, rows: &[&ForestRow]) -> String {
    let words = unique(rows.iter().map(|row| word(row)));
    let tasks = unique(rows.iter().map(|row| row.measure.as_str())).len();
    let part = |wanted: &&str| {
        let own: Vec<&ForestRow> = rows.iter().filter(|row| word(row) == *wanted).copied().collect();
        let budgets: Vec<&str> = own.iter().map(|row| row.budget.as_str()).collect();
        match tasks {
            1 => format!("{wanted} at {}", listed(&budgets)),
            _ => format!("{wanted} in {}", own.len()),
        }
    };
    let parts = words.iter().map(part).collect::<Vec<_>>().join(", ");
    let of =
        if tasks > 1 { format!(" in {} comparisons of {tasks} tasks", rows.len()) } else { String::new() };
    format!("{measure}{of}: {parts}")
}

/// Returns the badge of a pair and its class.
fn badge(rows: &[&ForestRow]) -> (&'static str, &'static str) {
    let count = |wanted: &str| rows.iter().filter(|row| word(row) == wanted).count();
    match (count("better"), count("worse")) {
        (0, 0) if count("identical") == rows.len() => ("identical", UNDECIDED),
        (0, 0) if count("equivalent") > 0 => ("equivalent", "partly-holds"),
        (0, 0) if count("undecided") > 0 => ("undecided", UNDECIDED),
        (0, 0) => ("not tested", UNDECIDED),
        (better, 0) if better == rows.len() => ("better", "holds"),
        (_, 0) => ("partly better", "partly-holds"),
        (0, worse) if worse == rows.len() => ("worse", "does-not-hold"),
        (0, _) => ("partly worse", "does-not-hold"),
        _ => ("mixed", "partly-holds"),
    }
}

/// Returns the number of a difference with its interval and its verdict.
fn number(row: &ForestRow) -> String {
    let (factor, unit) = if row.unit.is_empty() { (100.0, "percentage points") } else { (1.0, &*row.unit) };
    let interval = match row.interval[..] {
        [Some(low), Some(high)] => Some((low, high)),
        _ => None,
    };
    let value = scaled(row.value, interval, factor);
    let verdict = if row.verdict.contains(" after ") { format!(": {}", row.verdict) } else { String::new() };
    let counted = if row.measure.contains(": ") { "contexts" } else { "texts" };
    format!("{} at {}: {value} {unit} on {} {counted}{verdict}.", row.measure, row.budget, row.n)
}

/// Prints an estimate times a factor.
fn scaled(value: f64, interval: Option<(f64, f64)>, factor: f64) -> String {
    estimate(Some(Estimate { value, interval }), |value| significant(factor * value, 3))
}

/// Returns the best policy on each board of an experiment: on texts or, without texts, on its tasks.
/// `experiment` is the end of the titles.
fn best_answers(run: &Run<'_>, name: &str, experiment: &str) -> Vec<Answer> {
    let boards = experiment::boards(run, name);
    let first = boards.first().map(|board| board.measure.clone());
    let own = boards.into_iter().filter(|board| Some(&board.measure) == first.as_ref());
    let kinds = Kinds::new(run);
    let answer = |mut board: BoardData| {
        kinds.mark(&mut board.model);
        best_answer(&board, experiment)
    };
    own.filter_map(answer).collect()
}

/// Returns the policy in the first place of a board, and how far the next one is from it.
fn best_answer(board: &BoardData, experiment: &str) -> Option<Answer> {
    let in_place = |place: usize| board.ranks.iter().find(|rank| rank.place == Some(place));
    let (best, next) = (in_place(1)?, in_place(2)?);
    let (factor, unit) = if board.unit.is_empty() { (100.0, "%") } else { (1.0, &*board.unit) };
    let difference = if board.unit.is_empty() { "percentage points" } else { &board.unit };
    let print = |values: &[Option<f64>]| {
        let interval = values.get(1).copied().flatten().zip(values.get(2).copied().flatten());
        values.first().copied().flatten().map(|value| scaled(value, interval, factor))
    };
    let task = if board.task == "text" { String::new() } else { format!(" of {}", board.task) };
    let counted = if board.task == "text" { "texts" } else { "contexts" };
    let word = if board.is_lower_better { "lowest" } else { "highest" };
    let excludes_zero = is_apart(next);
    let apart = if excludes_zero { "" } else { ", so nothing shows which of them is better" };
    Some(Answer {
        class: if excludes_zero { "holds" } else { UNDECIDED }.to_owned(),
        badge: format!("budget {}", board.budget),
        title: format!(
            "{} has the {word} mean {}{task}, {}{experiment}",
            best.name, board.measure, board.model
        ),
        because: format!(
            "{} {unit} on {} {counted}. The next, {}, differs by {} {difference}{apart}.",
            print(&best.value)?,
            best.n,
            next.name,
            print(&next.from_best)?,
        ),
    })
}

/// Returns whether the interval of the difference from the first place excludes 0. Too few texts have none.
fn is_apart(next: &RankData) -> bool {
    match next.from_best[..] {
        [_, Some(low), Some(high)] => low > 0.0 || high < 0.0,
        _ => false,
    }
}
