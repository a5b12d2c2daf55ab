//! The rows that statements rest on, with the commands that measure them again.

use super::evidence::{Evidence, RowFilter};
use crate::experiment::base_model_name;
use crate::run::BUILT_IN;
use crate::{Run, escape};
use bitkv_record::Accounting;

/// The options that choose the output. The last takes no value.
const OUTPUT: [&str; 2] = ["--out", "--json"];
/// The options that say how a model is read.
const READING: [&str; 3] = ["--activation", "--as", "--i2s-layout"];
/// The options of `bitkv verify` that choose what is measured, which a shorter command replaces.
const CHOICES: [&str; 3] = ["--model", "--policy", "--budget"];

/// The rows of policies, and those of heads.
const ROWS: &str = "rows.csv";
const HEADS: &str = "heads.csv";

/// Returns the command that measures the whole run again.
fn measure_run(run: &Run<'_>) -> String {
    shell(&without(&run.manifest.command, &OUTPUT))
}

/// Returns all rows of heads, with the command of the whole run.
pub(super) fn all_heads(run: &Run<'_>) -> Evidence {
    Evidence { rows: RowFilter::new(HEADS), command: measure_run(run) }
}

/// Returns the rows of a model in several forms, with the command of the whole run: its texts with the full
/// cache or, at a context length, its heads.
pub(super) fn forms(run: &Run<'_>, models: &[&str], context: Option<usize>) -> Evidence {
    let rows = match context {
        Some(context) => RowFilter::new(HEADS).with("context", &[context]),
        None => RowFilter::new(ROWS).with("policy", &["full"]).with("task", &["text"]),
    };
    Evidence { rows: rows.with("model", models), command: measure_run(run) }
}

/// Returns the rows of policies at these budgets on one task, with the command that measures them again. The
/// full cache has rows at its own budget alone, so without budgets all of them count.
pub(super) fn cells(run: &Run<'_>, model: &str, policies: &[&str], budgets: &[f64], task: &str) -> Evidence {
    let rows = RowFilter::new(ROWS).with("model", &[model]).with("policy", policies);
    let rows = rows.with("budget", budgets).with("task", &[task]);
    let budgets = if budgets.is_empty() { &[LEAST_WORK] } else { budgets };
    Evidence { rows, command: measure_cells(run, model, policies, budgets) }
}

/// Returns the options of a run that was made by `bitkv verify`, and `None` for another run.
fn verify_options<'r>(run: &'r Run<'_>) -> Option<&'r [String]> {
    match run.manifest.command.as_slice() {
        [_, command, options @ ..] if command == "verify" => Some(options),
        _ => None,
    }
}

/// Returns the command that measures `policies` of a model at `budgets` again, with the same numbers. A run
/// that was not made by `bitkv verify` has only its own command, which measures everything.
fn measure_cells(run: &Run<'_>, model: &str, policies: &[&str], budgets: &[f64]) -> String {
    let Some(options) = verify_options(run) else { return measure_run(run) };
    let mut command = arguments(&["bitkv", "verify", "--model", &as_given(run, model)]);
    command.extend(budgets.iter().flat_map(|budget| arguments(&["--budget", &budget.to_string()])));
    command.extend(policies.iter().flat_map(|policy| arguments(&["--policy", policy])));
    command.extend(without(options, &[&CHOICES[..], &OUTPUT].concat()));
    shell(&command)
}

/// The budget of a command that needs no evicting policy. The full cache is measured at every budget.
const LEAST_WORK: f64 = 0.5;

/// Returns the rows of the heads of a model at all context lengths, with the command that measures what a
/// verification finds without eviction.
pub(super) fn heads(run: &Run<'_>, model: &str) -> Evidence {
    let command = measure_cells(run, model, &["full"], &[LEAST_WORK]);
    Evidence { rows: RowFilter::new(HEADS).with("model", &[model]), command }
}

/// Returns the rows of the heads of a model at one context length, with the command that measures them again.
/// A run that was not made by `bitkv verify` has only its own command.
pub(super) fn heads_at(run: &Run<'_>, model: &str, context: usize) -> Evidence {
    let rows = RowFilter::new(HEADS).with("model", &[model]).with("context", &[context]);
    Evidence { rows, command: measure_profile(run, model, context) }
}

/// Returns the command that profiles the heads of a model again, at one context length.
fn measure_profile(run: &Run<'_>, model: &str, context: usize) -> String {
    let Some(options) = verify_options(run) else { return measure_run(run) };
    let (model, context) = (as_given(run, model), context.to_string());
    let mut command = arguments(&["bitkv", "profile", "--model", &model, "--context", &context]);
    let texts = values_of(options, "--calibration");
    command.extend(texts.iter().flat_map(|folder| arguments(&["--texts", folder])));
    command.extend(reading_options(options));
    shell(&command)
}

/// Returns the row of the bytes of a model at one context length, by what a runtime stores or as published,
/// with the command that counts them again.
pub(super) fn memory(run: &Run<'_>, model: &str, accounting: Accounting, context: usize) -> Evidence {
    let rows = RowFilter::new("memory.csv").with("model", &[model]).with("context", &[context]);
    let rows = rows.with("accounting", &[accounting]);
    Evidence { rows, command: count_memory(run, model, accounting, context) }
}

/// Returns the command that counts the bytes of a model again.
fn count_memory(run: &Run<'_>, model: &str, accounting: Accounting, context: usize) -> String {
    let (given, accounting, context) = (as_given(run, model), accounting.to_string(), context.to_string());
    let mut command = arguments(&["bitkv", "memory", "--model", &given]);
    command.extend(arguments(&["--accounting", &accounting, "--context", &context]));
    if run.manifest.models.iter().any(|entry| entry.name == model) {
        command.extend(reading_options(&run.manifest.command));
    }
    shell(&command)
}

/// Returns words as the arguments of a command.
fn arguments(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Returns the options that say how a model is read.
fn reading_options(command: &[String]) -> Vec<String> {
    let with_values =
        |name| values_of(command, name).into_iter().flat_map(move |value| arguments(&[name, &value]));
    READING.into_iter().flat_map(with_values).collect()
}

/// Returns the values of an option, which may be written as `--name value` or `--name=value`.
fn values_of(command: &[String], name: &str) -> Vec<String> {
    let value = |(i, argument): (usize, &String)| match argument.split_once('=') {
        Some((option, value)) if option == name => Some(value.to_owned()),
        _ if argument == name => command.get(i + 1).cloned(),
        _ => None,
    };
    command.iter().enumerate().filter_map(value).collect()
}

/// Returns a model as `--model` takes it: the name of a built-in model, otherwise the folder or the file.
fn as_given(run: &Run<'_>, model: &str) -> String {
    let name = base_model_name(model);
    let entry = run.manifest.models.iter().find(|entry| base_model_name(&entry.name) == name);
    let given = entry.map(|entry| entry.source.as_str()).filter(|source| *source != BUILT_IN);
    given.unwrap_or(name).to_owned()
}

/// Returns the arguments without some options and their values.
fn without(options: &[String], unwanted: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let (name, value) =
            option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        if !unwanted.contains(&name) {
            kept.push(option.clone());
        } else if value.is_none() && name != "--json" {
            rest.next();
        }
    }
    kept
}

/// Joins arguments into a line for a shell. The program is named without its folder.
fn shell(command: &[String]) -> String {
    let name = |(i, argument): (usize, &String)| match i {
        0 => "bitkv".to_owned(),
        _ => escape::shell(argument),
    };
    command.iter().enumerate().map(name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_choose_the_numbers_are_kept() {
        let options = "--model a --seed 3 --out=runs/x --json --budget 0.5 --context-tokens=64 --model=b";
        let options: Vec<String> = options.split(' ').map(str::to_owned).collect();
        let kept = without(&options, &[&CHOICES[..], &OUTPUT].concat());
        assert_eq!(kept, ["--seed", "3", "--context-tokens=64"]);
        assert_eq!(without(&options, &OUTPUT).len(), 8);
        assert_eq!(values_of(&options, "--context-tokens"), ["64"]);
        assert_eq!(values_of(&options, "--model"), ["a", "b"]);
    }
}
