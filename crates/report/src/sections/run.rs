//! What was run, and the command that runs it again.

use crate::block::Block;
use crate::escape;
use crate::format::fixed;
use crate::table::Table;
use bitkv_record::Manifest;

/// Returns one line that says where the numbers come from.
pub(crate) fn provenance(m: &Manifest) -> Block {
    let revision: String = m.revision.chars().take(12).collect();
    let dirty = if m.dirty { " with uncommitted changes" } else { "" };
    Block::Text(format!(
        "Measured by bitkv {}, revision {revision}{dirty}. The run started at {} and took {}\u{a0}s on {}.",
        m.bitkv_version,
        m.started,
        fixed(m.seconds, 0),
        m.machine.cpu
    ))
}

/// Returns the table of facts about the run.
fn facts(m: &Manifest, run: Option<&str>) -> Table {
    let mut table = Table::titled("The run", "property|value");
    let mut push = |name: &str, value: String| table.push(vec![name.to_owned(), value]);
    let models: Vec<String> =
        m.models.iter().map(|model| format!("{} ({})", model.name, model.source)).collect();
    push("models", models.join(", "));
    push(
        "texts",
        format!("{} ({} bytes)", m.texts.len(), m.texts.iter().map(|text| text.bytes).sum::<u64>()),
    );
    push("bitkv", m.bitkv_version.clone());
    push(
        "revision",
        if m.dirty { format!("{} with uncommitted changes", m.revision) } else { m.revision.clone() },
    );
    push("started", m.started.clone());
    push("duration, seconds", fixed(m.seconds, 1));
    let simd = if m.machine.simd.is_empty() { "none".to_owned() } else { m.machine.simd.join(", ") };
    push("machine", format!("{}, {} cores, SIMD: {simd}", m.machine.cpu, m.machine.cores));
    push("threads", m.threads.to_string());
    push("seed", m.seed.to_string());
    if let Some(run) = run {
        push("run folder", run.to_owned());
    }
    table
}

/// Returns the sections about what was run and how to reproduce it: the command, its options and the input
/// files. `run` is the run folder.
pub(crate) fn reproduce(m: &Manifest, run: Option<&str>) -> Vec<Block> {
    let command: Vec<String> = m.command.iter().map(|argument| escape::shell(argument)).collect();
    let mut blocks = vec![
        Block::Heading(2, "What was run".to_owned()),
        Block::Table(facts(m, run)),
        Block::Heading(2, "How to reproduce".to_owned()),
        Block::Text(format!("Run this command with bitkv {} at revision {}:", m.bitkv_version, m.revision)),
        Block::Code(command.join(" ")),
    ];
    let mut options = Table::titled("Options", "option|value");
    options.extend(m.options.iter().map(|(name, value)| vec![name.clone(), value.to_string()]));
    let mut files = Table::titled("Inputs", "file|belongs to|>bytes|SHA-256");
    let model_files =
        m.models.iter().flat_map(|model| model.files.iter().map(|file| (file, model.name.as_str())));
    for (file, owner) in model_files.chain(m.texts.iter().map(|text| (text, "texts"))) {
        files.push(vec![file.name.clone(), owner.to_owned(), file.bytes.to_string(), file.sha256.clone()]);
    }
    let tables = [options, files].into_iter().filter(|table| !table.is_empty()).map(Block::Table);
    blocks.push(Block::Details("Options and input files".to_owned(), tables.collect()));
    blocks
}
