//! The sections of a report, the most important ones first.

mod limits;
mod run;
pub(crate) mod statements;

use crate::block::{Block, chart_figure, paragraphs};
use crate::claims::{self, Claim, StatementRole};
use crate::experiment::{self, READING};
use crate::format::MISSING;
use crate::run::BUILT_IN;
use crate::table::{LINE_WIDTH, Table};
use crate::{Run, heads, memory};
pub(crate) use limits::blocks as limits;
pub(crate) use run::{provenance, reproduce};

const MEMORY_NOTE: &str =
    "The vertical axis is the KV cache as a share of weights, cache and activations together.";
const VERDICT_NOTE: &str = "A claim holds if all of its statements do, and does not hold if some were decided and none of these holds. \
Otherwise it partly holds. Reproductions and checks are not counted.";

/// The same note in one line for a terminal, where similar statements share a line.
const TERMINAL_VERDICT_NOTE: &str = "Reproductions and checks are not counted. A line above can have several statements, and each is counted.";

/// Returns the title of the report.
pub(crate) fn title(run: &Run<'_>) -> String {
    let names = run.definition.names();
    match run.definition.claims.is_empty() {
        true => format!("Experiments: {}", names.join(", ")),
        false => format!("Verification of {}", claims::models(run).join(", ")),
    }
}

/// Returns the sections of the whole report.
pub(crate) fn full(run: &Run<'_>) -> Vec<Block> {
    let claims = claims::all(run);
    let mut blocks = summary(&claims);
    blocks.extend((!claims.is_empty()).then(|| Block::Text(basis(run, &claims))));
    blocks.push(provenance(run.manifest));
    blocks.push(Block::Heading(2, "What was asked, and what would refute it".to_owned()));
    blocks.extend(paragraphs(&run.definition.analysis));
    blocks.extend(claims.iter().flat_map(|claim| claim_blocks(claim, run)));
    let names = experiment::names(run);
    blocks.extend((!names.is_empty()).then(|| Block::Text(READING.to_owned())));
    blocks.extend(names.into_iter().flat_map(|name| experiment::blocks(run, name)));
    blocks.extend(heads::blocks(run));
    blocks.extend(memory_blocks(run));
    blocks.extend(limits(run, &claims));
    blocks.extend(reproduce(run.manifest, run.folder));
    blocks
}

/// Returns the short report that a terminal shows.
pub(crate) fn brief(run: &Run<'_>) -> Vec<Block> {
    let claims = claims::all(run);
    let mut blocks = Vec::new();
    if !claims.is_empty() {
        blocks.push(Block::Text(basis(run, &claims)));
        let number = |[what, published, here]: &[String; 3]| {
            format!("{what}: {here} ({})", statements::published_text(published))
        };
        blocks.push(Block::List(claims.iter().flat_map(|claim| &claim.key_numbers).map(number).collect()));
    }
    for claim in &claims {
        blocks.push(Block::Heading(2, format!("{}: {}", claim.title, claim.verdict.name().to_uppercase())));
        // Two characters are taken by the bullet.
        blocks.push(Block::List(statements::lines(claim, &claims::models(run), LINE_WIDTH - 2)));
    }
    blocks.extend(experiment::names(run).into_iter().flat_map(|name| experiment::brief(run, name)));
    blocks.extend(heads::brief(run));
    blocks.extend(memory::brief(run.memory).map(Block::Table));
    let folder = run.folder;
    let pointer = |folder| {
        format!(
            "report.html and report.md in {folder} also have intervals, reasons, limits and all other measures."
        )
    };
    blocks.extend(folder.map(|folder| Block::Text(pointer(folder))));
    // The verdicts are at the end, which a terminal still shows when everything else has scrolled by.
    if !claims.is_empty() {
        let verdict = |claim: &Claim| {
            let because = because(claim).map_or_else(String::new, |reason| format!(", because {reason}"));
            format!("{}: {} ({}){because}", claim.verdict.name().to_uppercase(), claim.title, counts(claim))
        };
        blocks.push(Block::Heading(2, "Verdicts".to_owned()));
        blocks.push(Block::Text(TERMINAL_VERDICT_NOTE.to_owned()));
        blocks.push(Block::List(claims.iter().map(verdict).collect()));
    }
    blocks
}

/// Returns the reason for a verdict: the statement that decides it, with its numbers. It is `None` if no
/// statement was decided.
pub(crate) fn because(claim: &Claim) -> Option<String> {
    let statement = claim.deciding()?;
    let holds = if statement.holds == Some(true) { "holds" } else { "does not hold" };
    let published = statements::published_text(&statement.published);
    Some(format!("this {holds}: {}: {} ({published})", statement.text, statement.measured))
}

/// Says which models the verdicts rest on, what "holds" means for them, and how much of the claims was
/// measured.
pub(crate) fn basis(run: &Run<'_>, claims: &[Claim]) -> String {
    let models = claims::models(run).join(" and ");
    let built_in = run.manifest.models.iter().all(|model| model.source == BUILT_IN);
    let own = match (models.is_empty(), built_in) {
        (true, _) => "No model was run, so the verdicts rest on published configurations alone.".to_owned(),
        (false, true) => format!(
            "Statements about published models rest on their configurations and published numbers. All other statements rest on \
             {models} alone, which are small models of this suite: that one of them holds means that the claim carries over to \
             these models, and neither confirms nor refutes it for others. So a claim may partly hold because of a small model \
             alone; its statements say which."
        ),
        (false, false) => format!(
            "Statements about published models rest on their configurations and published numbers, and all others on {models} \
             alone. They do not speak for models that were not measured."
        ),
    };
    let counted =
        || claims.iter().flat_map(|claim| &claim.statements).filter(|s| s.role == StatementRole::Claim);
    let missing = counted().filter(|s| s.holds.is_none() && s.measured.is_empty()).count();
    match missing {
        0 => own,
        _ => format!(
            "{own} {missing} of {} statements were not measured, so the verdicts are those of a part of the claims.",
            counted().count()
        ),
    }
}

/// Returns the tables of verdicts and of key numbers.
fn summary(claims: &[Claim]) -> Vec<Block> {
    let mut verdicts = Table::titled("Verdicts", "claim|verdict|because|statements");
    verdicts.extend(claims.iter().map(|claim| {
        let because = because(claim).unwrap_or_else(|| MISSING.to_owned());
        vec![claim.title.clone(), claim.verdict.name().to_owned(), because, counts(claim)]
    }));
    verdicts.note(VERDICT_NOTE);
    let tables = [verdicts.unless_empty(), key_numbers(claims)];
    tables.into_iter().flatten().map(Block::Table).collect()
}

/// Returns the table of key numbers, or `None` if no claim has one.
pub(crate) fn key_numbers(claims: &[Claim]) -> Option<Table> {
    let mut numbers = Table::titled("Key numbers", "number|published|this run");
    numbers.extend(claims.iter().flat_map(|claim| claim.key_numbers.clone()).map(Vec::from));
    numbers.unless_empty()
}

/// Returns the section of a claim: its verdict and its statements.
fn claim_blocks(claim: &Claim, run: &Run<'_>) -> [Block; 3] {
    let (title, verdict) = (claim.title.clone(), claim.verdict);
    [
        Block::Heading(2, title.clone()),
        Block::Verdict { title, verdict },
        Block::Table(statements::table(claim, &claims::models(run))),
    ]
}

/// Returns how many of the statements that count hold, fail or are open, such as `1 holds, 9 do not`.
pub(crate) fn counts(claim: &Claim) -> String {
    let counted = || claim.statements.iter().filter(|s| s.role == StatementRole::Claim);
    let count = |holds| counted().filter(|s| s.holds == holds).count();
    let open = |measured: bool, word: &str| {
        let found = counted().filter(|s| s.holds.is_none() && s.measured.is_empty() != measured).count();
        if found > 0 { format!(", {found} {word}") } else { String::new() }
    };
    let (undecided, untested) = (open(true, "undecided"), open(false, "not tested"));
    let (held, failed) = (count(Some(true)), count(Some(false)));
    let hold = if held == 1 { "holds" } else { "hold" };
    let fail = if failed == 1 { "does not" } else { "do not" };
    format!("{held} {hold}, {failed} {fail}{undecided}{untested}")
}

/// Returns the section about memory, empty without rows.
pub(crate) fn memory_blocks(run: &Run<'_>) -> Vec<Block> {
    let Some(overview) = memory::overview(run.memory) else { return Vec::new() };
    let mut blocks = vec![Block::Heading(2, "Memory".to_owned()), Block::Table(overview)];
    blocks.extend(memory::charts(run.memory).iter().map(|chart| chart_figure(chart, MEMORY_NOTE)));
    let tables = memory::tables(run.memory).into_iter().map(Block::Table).collect();
    blocks.push(Block::Details("Memory under each accounting, with activations".to_owned(), tables));
    blocks
}
