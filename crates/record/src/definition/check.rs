//! Checks of a definition that concern several keys at once.

use super::keys::Place;
use super::{Equal, Experiment, MetricGroup};
use crate::definition_error::MOST_CHARACTERS;
use crate::gap::Gaps;
use crate::{AskedBudget, DefinitionError, Form, PolicyText, ScoredTask, TaskKind};

/// Checks the version of the format. A definition without a version has the first format.
pub(super) fn format(table: &toml::Table, known: usize) -> Result<(), DefinitionError> {
    match table.get("format").map(|value| value.as_integer()) {
        None => Ok(()),
        Some(Some(format)) if (1..=known as i64).contains(&format) => Ok(()),
        Some(Some(format)) if format > 0 => Err(DefinitionError::NewerFormat { format, known }),
        Some(_) => Err(DefinitionError::NoFormat { known }),
    }
}

/// Checks that the names of experiments, profiles and memory studies have valid characters and are unique.
/// The empty name of a section without a name is a gap already.
pub(super) fn names(names: &[&str], place: &Place, gaps: &mut Gaps) {
    for (i, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        gaps.check(characters(name).map_err(|reason| place.refuse(reason)));
        if names[..i].contains(name) {
            gaps.add(place.refuse(DefinitionError::NameTwice { name: (*name).to_owned() }));
        }
    }
}

/// A check of an experiment, and the keys that it reads.
type Check = (fn(&Experiment) -> Result<(), DefinitionError>, &'static [&'static str]);

const CHECKS: [Check; 12] = [
    (full_budget, &["budgets"]),
    (budgets, &["budgets", "tasks", "context"]),
    (controls, &["controls", "analysis"]),
    (pairs, &["pairs", "policies"]),
    (equivalence, &["equivalence", "pairs", "tasks", "forms", "when", "positions", "kv"]),
    (when, &["when", "tasks", "context", "horizon"]),
    (lengths, &["context", "horizon"]),
    (tasks, &["tasks", "context"]),
    (metrics, &["metrics", "tasks"]),
    (forms, &["metrics", "forms"]),
    (equal, &["equal", "kv"]),
    (generated, &["tasks"]),
];

/// The most rows of an experiment on one model. More could not be measured or read.
const MOST_ROWS: usize = 10_000_000;
/// The most cells of a context.
const MOST_CELLS: usize = 200_000;
/// The most tokens of all generated contexts of an experiment. They are drawn before anything is measured.
const MOST_GENERATED: usize = 1 << 25;

/// Checks that the lists of an experiment do not multiply to more rows than can be measured. Policies that
/// are not random count as often as random ones, so this is an upper bound.
pub(super) fn rows(experiment: &Experiment) -> Result<(), DefinitionError> {
    let lists = [&experiment.policies.len(), &experiment.budgets.len(), &experiment.seeds.len()];
    let axes = experiment.axes.product().len();
    let factors = lists.into_iter().chain([&experiment.draws, &axes]);
    let cells = factors.fold(1usize, |product, factor| product.saturating_mul(*factor));
    let contexts = experiment.tasks.iter().fold(0usize, |sum, task| sum.saturating_add(task.count)).max(1);
    let rows = cells.saturating_mul(contexts);
    match cells <= MOST_CELLS && rows <= MOST_ROWS {
        true => Ok(()),
        false => Err(DefinitionError::Key(format!(
            "policies, budgets, seeds, draws and axes multiply to {cells} cells on each of {contexts} contexts: use at \
             most {MOST_CELLS} cells and {MOST_ROWS} rows, and divide the experiment into several"
        ))),
    }
}

/// Checks that all generated contexts together can be drawn.
fn generated(experiment: &Experiment) -> Result<(), DefinitionError> {
    let tokens =
        |sum: usize, task: &super::GridTask| sum.saturating_add(task.count.saturating_mul(task.tokens));
    let tokens = experiment.tasks.iter().fold(0, tokens);
    match tokens <= MOST_GENERATED {
        true => Ok(()),
        false => Err(DefinitionError::Key(format!(
            "the generated contexts of tasks have {tokens} tokens together: use at most {MOST_GENERATED}, with a \
             smaller count or fewer tokens"
        ))),
    }
}

/// Checks an experiment as a whole, except what depends on a key that could not be read.
pub(super) fn experiment(experiment: &Experiment, place: &Place, gaps: &mut Gaps) {
    for (check, keys) in CHECKS {
        if gaps.knows(keys) {
            gaps.check(check(experiment).map_err(|reason| place.refuse(reason)));
        }
    }
}

/// Checks that a name has only lower-case letters, digits and hyphens, not only hyphens, and not too many,
/// because files are named after it.
fn characters(name: &str) -> Result<(), DefinitionError> {
    let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_short = name.len() <= MOST_CHARACTERS;
    match is_short && name.chars().all(is_valid) && name.contains(|c| c != '-') {
        true => Ok(()),
        false => Err(DefinitionError::Name { name: name.to_owned() }),
    }
}

/// Checks that the full budget is listed.
fn full_budget(experiment: &Experiment) -> Result<(), DefinitionError> {
    match experiment.budgets.contains(&AskedBudget::FULL) {
        true => Ok(()),
        false => Err(DefinitionError::NoFullBudget),
    }
}

/// Checks that no budget has more tokens than the shortest context.
fn budgets(experiment: &Experiment) -> Result<(), DefinitionError> {
    let shortest = experiment.tasks.iter().min_by_key(|task| task.tokens);
    for budget in &experiment.budgets {
        if let (AskedBudget::Tokens(tokens), Some(shortest)) = (budget, shortest)
            && *tokens > shortest.tokens
        {
            let (budget, tokens, task) = (budget.to_string(), shortest.tokens, shortest.task);
            return Err(DefinitionError::BudgetAboveContext { budget, tokens, task });
        }
    }
    Ok(())
}

/// Checks that an experiment without controls says why. Whether the controls are listed needs a registry of
/// policies: see [`Definition::check_roles`](super::Definition).
fn controls(experiment: &Experiment) -> Result<(), DefinitionError> {
    match experiment.controls || experiment.analysis.is_some() {
        true => Ok(()),
        false => Err(DefinitionError::NoReason),
    }
}

/// Checks that both policies of each pair are measured, and that they differ.
fn pairs(experiment: &Experiment) -> Result<(), DefinitionError> {
    let measured: Vec<PolicyText> = experiment.policies.iter().map(|text| PolicyText::new(text)).collect();
    for (a, b) in &experiment.pairs {
        if let Some(policy) = [a, b].into_iter().find(|policy| !measured.contains(&PolicyText::new(policy))) {
            let (policy, known) = (policy.clone(), experiment.policies.clone());
            return Err(DefinitionError::UnknownPair { policy, known });
        }
        if PolicyText::new(a) == PolicyText::new(b) {
            return Err(DefinitionError::SamePair { policy: a.clone() });
        }
    }
    Ok(())
}

/// Checks that there are pairs of policies or values of an axis whose equivalence can be tested, and that a
/// margin of right answers has a task with answers.
fn equivalence(experiment: &Experiment) -> Result<(), DefinitionError> {
    let Some(margins) = experiment.equivalence else { return Ok(()) };
    if experiment.pairs.is_empty() && experiment.axes.product().len() == 1 {
        return Err(DefinitionError::NothingToTest);
    }
    let has_answers = experiment.tasks.iter().any(|task| task.task.kind != TaskKind::Text);
    match margins.accuracy.is_some() && !has_answers {
        true => Err(DefinitionError::NoAnswers),
        false => Ok(()),
    }
}

/// Checks that chunks are shorter than every context, and that eviction while decoding happens within the
/// horizon.
fn when(experiment: &Experiment) -> Result<(), DefinitionError> {
    let shortest = experiment.tasks.iter().min_by_key(|task| task.tokens);
    let (shortest, task) =
        shortest.map_or((experiment.context, ScoredTask::TEXT), |shortest| (shortest.tokens, shortest.task));
    for &when in &experiment.axes.when {
        if let Some(chunk) = when.prefill_chunk.filter(|chunk| *chunk >= shortest) {
            return Err(DefinitionError::LongChunk { when, chunk, shortest, task });
        }
        let horizon = experiment.horizon;
        if let Some(every) = when.every.filter(|every| *every >= horizon) {
            return Err(DefinitionError::ShortHorizon { when, every, horizon });
        }
    }
    Ok(())
}

/// Checks that the lengths can be added.
fn lengths(experiment: &Experiment) -> Result<(), DefinitionError> {
    experiment.context.checked_add(experiment.horizon).map(|_| ()).ok_or(DefinitionError::TooLong)
}

/// Checks that no task is listed twice with the same length.
fn tasks(experiment: &Experiment) -> Result<(), DefinitionError> {
    // The rows of two entries with the same task and length could not be distinguished.
    for (i, task) in experiment.tasks.iter().enumerate() {
        let same = |earlier: &&super::GridTask| (earlier.task, earlier.tokens) == (task.task, task.tokens);
        if experiment.tasks[..i].iter().any(|earlier| same(&earlier)) {
            return Err(DefinitionError::TaskTwice { task: task.task, tokens: task.tokens });
        }
    }
    Ok(())
}

/// Checks that texts are scored by KL.
fn metrics(experiment: &Experiment) -> Result<(), DefinitionError> {
    let texts = experiment.tasks.iter().any(|task| task.task.kind == TaskKind::Text);
    match texts && !experiment.metrics.contains(&MetricGroup::Kl) {
        true => Err(DefinitionError::NoKl),
        false => Ok(()),
    }
}

/// Checks that the metric `form` has two forms to compare.
fn forms(experiment: &Experiment) -> Result<(), DefinitionError> {
    let both_forms = [Form::True, Form::PlainLlama].iter().all(|form| experiment.axes.form.contains(form));
    match experiment.metrics.contains(&MetricGroup::Form) && !both_forms {
        true => Err(DefinitionError::OneForm),
        false => Ok(()),
    }
}

/// Checks that `equal = "bytes"` has several KV formats to compare.
fn equal(experiment: &Experiment) -> Result<(), DefinitionError> {
    match experiment.equal == Equal::Bytes && experiment.axes.kv.len() == 1 {
        true => Err(DefinitionError::OneKvFormat { kv: experiment.axes.kv[0] }),
        false => Ok(()),
    }
}
