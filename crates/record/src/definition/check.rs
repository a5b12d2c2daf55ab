//! What must be true of an experiment as a whole.

use super::keys::Place;
use super::{Equal, Experiment, Metric};
use crate::{AskedBudget, Form, PolicyText, RecordError, TaskKind};

/// A definition says its format, or is of the first.
pub(super) fn format(table: &toml::Table, known: usize) -> Result<(), String> {
    match table.get("format").map(|value| value.as_integer()) {
        None => Ok(()),
        Some(Some(format)) if (1..=known as i64).contains(&format) => Ok(()),
        Some(Some(format)) if format > 0 => Err(format!(
            "format = {format} is newer than this version of bitkv, which reads formats up to {known}: use a newer bitkv"
        )),
        Some(_) => Err(format!("format is not the version of a format: write format = {known}")),
    }
}

/// Experiments, profiles and memory studies of a file have plain names, and no two have the same.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a String>, place: &Place) -> Result<(), RecordError> {
    let mut seen = Vec::new();
    for name in names {
        plain(name).map_err(|reason| place.refuse(reason))?;
        if seen.contains(&name) {
            return Err(place.refuse(format!("two sections are named '{name}': rename one of them")));
        }
        seen.push(name);
    }
    Ok(())
}

pub(super) fn experiment(experiment: &Experiment, place: &Place) -> Result<(), RecordError> {
    let checks = [budgets, controls, pairs, when, tasks, metrics, equal];
    checks.iter().try_for_each(|check| check(experiment).map_err(|reason| place.refuse(reason)))
}

fn plain(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.chars().all(plain) && name.contains(|c| c != '-') {
        true => Ok(()),
        false => Err(format!("name = \"{name}\" cannot be: use lower-case letters, digits and hyphens")),
    }
}

fn budgets(experiment: &Experiment) -> Result<(), String> {
    if !experiment.budgets.contains(&AskedBudget::FULL) {
        return Err("budgets lacks 1.0, at which a policy must change nothing: add 1.0".to_owned());
    }
    let least = experiment.tasks.iter().min_by_key(|task| task.tokens);
    for budget in &experiment.budgets {
        if let (AskedBudget::Tokens(tokens), Some(least)) = (budget, least)
            && *tokens > least.tokens
        {
            return Err(format!(
                "budgets: '{budget}' is more than the {} tokens of a context of task '{}': ask for fewer",
                least.tokens, least.task
            ));
        }
    }
    Ok(())
}

/// Whether the controls are there is known where policies are: see [`Definition::check_roles`](super::Definition).
fn controls(experiment: &Experiment) -> Result<(), String> {
    match experiment.controls || experiment.analysis.is_some() {
        true => Ok(()),
        false => Err("controls = false needs a reason: give it in analysis of this experiment".to_owned()),
    }
}

/// Both of a pair are measured, and they are two.
fn pairs(experiment: &Experiment) -> Result<(), String> {
    let measured: Vec<PolicyText> = experiment.policies.iter().map(|text| PolicyText::new(text)).collect();
    for (a, b) in &experiment.pairs {
        if let Some(policy) = [a, b].into_iter().find(|policy| !measured.contains(&PolicyText::new(policy))) {
            let known: Vec<&str> = experiment.policies.iter().map(String::as_str).collect();
            let remedy = bitkv_spelling::instead(policy, &known);
            return Err(format!("pairs: '{policy}' is not among policies: add it there, or {remedy}"));
        }
        if PolicyText::new(a) == PolicyText::new(b) {
            return Err(format!(
                "pairs: '{a}' is paired with itself: name another policy, or remove the pair"
            ));
        }
    }
    Ok(())
}

fn when(experiment: &Experiment) -> Result<(), String> {
    let shortest = experiment.tasks.iter().map(|task| task.tokens).min().unwrap_or(experiment.context);
    for when in &experiment.axes.when {
        if let Some(chunk) = when.prefill_chunk.filter(|chunk| *chunk >= shortest) {
            return Err(format!(
                "when: '{when}' has chunks of {chunk} tokens, so that a context of {shortest} is never divided: \
                 write prefill-chunk below {shortest}, or \"once\""
            ));
        }
        let horizon = experiment.horizon;
        if let Some(every) = when.every.filter(|every| *every >= horizon) {
            return Err(format!(
                "when: '{when}' cuts every {every} tokens, but horizon = {horizon} is not longer: write every below \
                 {horizon}, or raise horizon"
            ));
        }
    }
    Ok(())
}

fn tasks(experiment: &Experiment) -> Result<(), String> {
    if experiment.context.checked_add(experiment.horizon).is_none() {
        return Err("context and horizon together are too large: write smaller ones".to_owned());
    }
    // Two lists of one task and length would give rows that cannot be told apart.
    for (i, task) in experiment.tasks.iter().enumerate() {
        let same = |earlier: &&super::GridTask| (earlier.task, earlier.tokens) == (task.task, task.tokens);
        if experiment.tasks[..i].iter().any(|earlier| same(&earlier)) {
            return Err(format!(
                "tasks lists '{}' with {} tokens twice: raise count instead",
                task.task, task.tokens
            ));
        }
    }
    Ok(())
}

fn metrics(experiment: &Experiment) -> Result<(), String> {
    let texts = experiment.tasks.iter().any(|task| task.task.kind == TaskKind::Text);
    if texts && !experiment.metrics.contains(&Metric::Kl) {
        return Err("metrics lacks \"kl\", by which the check at budget 1.0 is made: add it".to_owned());
    }
    let both = [Form::True, Form::PlainLlama].iter().all(|form| experiment.axes.form.contains(form));
    if experiment.metrics.contains(&Metric::Form) && !both {
        return Err(format!(
            "metrics lists \"{}\", which compares the forms of a model, but forms does not list both: add \
             forms = [\"{}\", \"{}\"], or remove the metric",
            Metric::Form,
            Form::True,
            Form::PlainLlama
        ));
    }
    Ok(())
}

fn equal(experiment: &Experiment) -> Result<(), String> {
    match experiment.equal == Equal::Bytes && experiment.axes.kv.len() == 1 {
        true => Err(format!(
            "equal = \"bytes\" compares KV formats, but kv lists only {}: list another, or remove equal",
            experiment.axes.kv[0]
        )),
        false => Ok(()),
    }
}
