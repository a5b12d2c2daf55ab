use anyhow::Result;
use bitkv_evict::registry;
use bitkv_lab::{built_in, memory::published_models};
use bitkv_report::{Align, Table};
use clap::ValueEnum;
use serde_json::json;

use crate::output;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum What {
    Models,
    Policies,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to list; everything by default.
    what: Option<What>,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = |what| arguments.what.is_none_or(|chosen| chosen == what);
    let shapes: Vec<String> = published_models()?.into_iter().map(|shape| shape.name).collect();
    if arguments.json {
        let mut document = serde_json::Map::new();
        if wanted(What::Models) {
            document.insert("models".into(), json!({"built_in": built_in(), "configurations": shapes}));
        }
        if wanted(What::Policies) {
            let policy = |l: &bitkv_evict::Listing| {
                json!({"kind": l.kind.name(), "name": l.name, "oracle": l.oracle, "conserving": l.conserving,
                       "description": l.description, "source": l.source})
            };
            document.insert("policies".into(), registry().iter().map(policy).collect());
        }
        return output::json(&document);
    }
    if wanted(What::Models) {
        let mut table = Table::new("Models", &["name", "what it is"].map(|c| (c, Align::Left)));
        built_in().iter().for_each(|name| table.push(vec![name.to_string(), "built in".into()]));
        shapes
            .iter()
            .for_each(|name| table.push(vec![name.clone(), "configuration only, for `memory`".into()]));
        output::text(&(table.to_terminal() + "\n"))?;
    }
    if wanted(What::Policies) {
        let mut table = Table::new(
            "Policies: ALLOCATOR+SCORER, or a rule",
            &["kind", "name", "what it does", "source"].map(|c| (c, Align::Left)),
        );
        for l in registry() {
            let name = if l.oracle { format!("{} (oracle)", l.name) } else { l.name.to_owned() };
            table.push(vec![l.kind.name().into(), name, l.description.into(), l.source.into()]);
        }
        output::text(&table.to_terminal())?;
    }
    Ok(())
}
