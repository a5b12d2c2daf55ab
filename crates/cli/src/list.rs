//! `bitkv list`: models, policies, metrics, experiments and commands.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use bitkv_evict::{Listing, Preset, Registry};
use bitkv_models::{built_in, published_models};
#[cfg(test)]
use bitkv_record::TaskKind;
use bitkv_record::{Measure, Named};
use bitkv_report::{Table, metrics};
use bitkv_spelling::suggestion;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{command, definitions, output, policy_tables, report};

/// What can be listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Topic {
    /// Built-in models, and published models whose configuration is known.
    Models,
    /// Allocators, scorers, rules, presses of kvpress, and presets.
    Policies,
    /// Settings of papers by name.
    Presets,
    /// The metrics of an experiment.
    Metrics,
    /// The definitions in the folder experiments.
    Experiments,
    /// The subcommands of bitkv.
    Commands,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to list [default: everything].
    what: Option<Topic>,
    /// Show everything about one policy: an allocator, a scorer, a rule, a press or a preset.
    #[arg(value_name = "POLICY")]
    name: Option<String>,
    /// Put the tables of metrics, commands or policies into a Markdown file, each between lines such as
    /// `<!-- metrics -->` and `<!-- /metrics -->`.
    #[arg(long, value_name = "FILE")]
    splice: Option<PathBuf>,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    if let Some(path) = &arguments.splice {
        ensure!(!arguments.json, "--splice writes a file and prints no JSON: leave out --json");
        return splice(arguments.what, path, registry);
    }
    if let Some(name) = &arguments.name {
        ensure!(
            matches!(arguments.what, Some(Topic::Policies | Topic::Presets)),
            "only policies are shown one by one: use `bitkv list policies {name}`"
        );
        return show_policy(name, arguments.json, registry);
    }
    // Policies include the presets.
    let all =
        [Topic::Models, Topic::Policies, Topic::Presets, Topic::Metrics, Topic::Experiments, Topic::Commands];
    let is_chosen =
        |topic: &Topic| arguments.what.map_or(*topic != Topic::Presets, |chosen| chosen == *topic);
    let (mut document, mut shown) = (serde_json::Map::new(), Vec::new());
    for topic in all.into_iter().filter(is_chosen) {
        // If everything is listed, a missing folder of experiments is not an error.
        if topic == Topic::Experiments && arguments.what.is_none() && !definitions::folder_exists() {
            continue;
        }
        let (parts, tables) = topic.list(registry)?;
        document.extend(parts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        shown.extend(tables);
    }
    if arguments.json { output::json(&document) } else { output::tables(&shown) }
}

/// Puts the tables of a topic into a document.
fn splice(topic: Option<Topic>, path: &Path, registry: &Registry) -> Result<()> {
    let put = |name: &str, table: &str| {
        report::splice_into(path, name, table)?;
        output::text(&format!("{}: {name} updated\n", path.display()))
    };
    match topic {
        None | Some(Topic::Metrics) => put("metrics", &metrics_table().to_bare_markdown()),
        Some(Topic::Commands) => put("commands", &command::markdown()),
        Some(Topic::Policies) => {
            let tables = policy_tables::tables(registry);
            tables.iter().try_for_each(|(name, table)| put(name, table))
        }
        Some(Topic::Models | Topic::Presets | Topic::Experiments) => bail!(
            "--splice writes the tables of metrics, commands or policies: use `bitkv list metrics --splice {}`",
            path.display()
        ),
    }
}

/// The named parts of the JSON document, and the tables.
type Listed = (Vec<(&'static str, Value)>, Vec<Table>);

impl Topic {
    fn list(self, registry: &Registry) -> Result<Listed> {
        match self {
            Topic::Models => models(),
            Topic::Policies => {
                let ((methods, of_methods), (presets, of_presets)) = (methods(registry), presets(registry));
                Ok(([methods, presets].concat(), [of_methods, of_presets].concat()))
            }
            Topic::Presets => Ok(presets(registry)),
            Topic::Metrics => Ok(listed_metrics()),
            Topic::Commands => Ok(commands()),
            Topic::Experiments => {
                let read = definitions::read()?;
                let document = definitions::document(&read);
                Ok((vec![("experiments", document)], vec![definitions::table(&read)]))
            }
        }
    }
}

fn models() -> Result<Listed> {
    let shapes: Vec<String> = published_models()?.into_iter().map(|shape| shape.name).collect();
    let mut table = Table::titled("Models", "name|description");
    built_in().iter().for_each(|name| table.push(vec![name.to_string(), "built in".into()]));
    shapes
        .iter()
        .for_each(|name| table.push(vec![name.clone(), "only the configuration, for `bitkv memory`".into()]));
    Ok((vec![("models", json!({"built_in": built_in(), "configurations": shapes}))], vec![table]))
}

/// Returns a policy as JSON.
fn policy_document(l: &Listing) -> Value {
    let options: serde_json::Map<String, Value> =
        l.options.iter().map(|(name, default)| (name.clone(), default.as_str().into())).collect();
    json!({"kind": l.kind.name(), "name": l.name, "role": l.role.name(), "oracle": l.oracle, "conserving": l.conserving,
           "description": l.description, "source": l.source, "options": options})
}

/// Returns a preset as JSON.
fn preset_document(p: &Preset) -> Value {
    json!({"name": p.name, "spec": p.spec, "source": p.source})
}

/// Returns the options of a policy with their defaults, such as `window=32, kernel=5`.
fn options_of(listing: &Listing) -> String {
    let options: Vec<String> =
        listing.options.iter().map(|(name, default)| format!("{name}={default}")).collect();
    options.join(", ")
}

fn methods(registry: &Registry) -> Listed {
    let title = "Policies: ALLOCATOR{options}+SCORER{options}, a rule, a press of kvpress, or a preset";
    let mut methods = Table::titled(title, "kind|name|what it does|options and their defaults|source");
    for l in registry.listings() {
        let name = if l.oracle { format!("{} (oracle)", l.name) } else { l.name.to_owned() };
        let (what, source) = (l.description.into(), l.source.into());
        methods.push(vec![l.kind.name().into(), name, what, options_of(&l), source]);
    }
    (vec![("policies", registry.listings().iter().map(policy_document).collect())], vec![methods])
}

fn presets(registry: &Registry) -> Listed {
    let mut presets = Table::titled("Presets", "name|policy|source");
    let all = registry.presets();
    all.iter().for_each(|p| presets.push([p.name, p.spec, p.source].map(String::from).to_vec()));
    (vec![("presets", all.iter().map(preset_document).collect())], vec![presets])
}

/// Shows everything about one policy. Several kinds may have the same name.
fn show_policy(name: &str, as_json: bool, registry: &Registry) -> Result<()> {
    let listings: Vec<Listing> = registry.listings().into_iter().filter(|l| l.name == name).collect();
    let preset = registry.presets().iter().find(|preset| preset.name == name);
    if listings.is_empty() && preset.is_none() {
        let all = registry.listings();
        let known: Vec<&str> =
            all.iter().map(|l| l.name).chain(registry.presets().iter().map(|p| p.name)).collect();
        bail!("there is no policy {name}: {}", suggestion(name, &known));
    }
    if as_json {
        let policies: Vec<Value> =
            listings.iter().map(|l| with_ranges(policy_document(l), l, registry)).collect();
        return output::json(&json!({"policies": policies, "preset": preset.map(preset_document)}));
    }
    let methods = listings.iter().map(|l| {
        let options = if l.options.is_empty() { "none".to_owned() } else { options_of(l) };
        let lines = [
            ("kind", l.kind.name().to_owned()),
            ("role", l.role.name().to_owned()),
            ("what it does", l.description.to_owned()),
            ("formula", l.formula.to_owned()),
            ("reads", policy_tables::reads(l)),
            ("options and their defaults", options),
            ("ranges of the options", ranges_of(l, registry)),
            ("source", l.source.to_owned()),
            ("differences from the source", l.differences.to_owned()),
        ];
        card(name, lines.into_iter().filter(|(_, text)| !text.is_empty()))
    });
    let presets = preset.map(|preset| {
        let lines = [("kind", "preset"), ("policy", preset.spec), ("source", preset.source)];
        card(name, lines.map(|(title, text)| (title, text.to_owned())))
    });
    output::tables(&methods.chain(presets).collect::<Vec<_>>())
}

/// Returns the ranges of the options that take numbers, such as `kernel 1 to 63, odd; window 1 to 64`.
fn ranges_of(listing: &Listing, registry: &Registry) -> String {
    let ranges = registry.option_ranges(listing);
    let ranges: Vec<String> = ranges.iter().map(|(name, range)| format!("{name} {range}")).collect();
    ranges.join("; ")
}

/// Adds the ranges of the options to a policy as JSON.
fn with_ranges(mut document: Value, listing: &Listing, registry: &Registry) -> Value {
    let ranges = registry.option_ranges(listing).into_iter().map(|(name, range)| (name, range.into()));
    document["ranges"] = Value::Object(ranges.collect());
    document
}

/// Returns a table of what is known about one policy.
fn card(name: &str, lines: impl IntoIterator<Item = (&'static str, String)>) -> Table {
    let mut table = Table::titled(name, "|");
    table.extend(lines.into_iter().map(|(title, text)| vec![title.to_owned(), text]));
    table
}

fn commands() -> Listed {
    (vec![("commands", json!(command::listed()))], vec![command::table()])
}

fn listed_metrics() -> Listed {
    let metric = |m: &Measure| {
        json!({"name": m.name, "group": m.group.map(|_| m.group_name()), "unit": m.unit.name(),
               "range": m.range_text(), "better": m.better.name(), "description": m.about})
    };
    (vec![("metrics", metrics().iter().map(metric).collect())], vec![metrics_table()])
}

fn metrics_table() -> Table {
    let mut table = Table::titled("Metrics", "name|group|unit|range|better|what it measures");
    for m in metrics() {
        let cells = [m.name, m.group_name(), m.unit.name(), &m.range_text(), m.better.name(), m.about];
        table.push(cells.map(String::from).to_vec());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/METRICS.md");

    #[test]
    fn the_document_has_the_table_of_metrics() {
        let due = bitkv_report::splice(DOCUMENT, "metrics", &metrics_table().to_bare_markdown()).unwrap();
        assert!(due == DOCUMENT, "run `bitkv list metrics --splice docs/METRICS.md`");
    }

    /// Whether the document has a row or a paragraph about this metric or task. A row may name several.
    fn is_explained(name: &str) -> bool {
        let name = format!("`{name}`");
        let names = |line: &'static str| line.strip_prefix("| ")?.split(" |").next();
        let mut rows = DOCUMENT.lines().filter_map(names);
        rows.any(|names| names.split(", ").any(|other| other == name))
            || DOCUMENT.contains(&format!("\n{name} "))
    }

    #[test]
    fn every_metric_and_every_task_is_explained() {
        for measure in metrics() {
            assert!(is_explained(measure.name), "docs/METRICS.md does not explain {}", measure.name);
        }
        for task in TaskKind::ALL.iter().filter(|task| **task != TaskKind::Text) {
            assert!(is_explained(task.name()), "docs/METRICS.md does not explain the task {task}");
        }
    }
}
