//! What a report says, section by section.

mod limits;
mod run;

use crate::document::{Block, Figure};
use crate::format::MISSING;
use crate::table::{Align, Table};
use crate::{Input, compression, heads, memory};
use bitkv_record::{Claim, ClaimId, Statement};

pub(crate) use limits::limits;
pub(crate) use run::{overview, reproduce};

pub(crate) fn title(input: &Input<'_>) -> String {
    format!("KV-cache verification of {}", input.verification.models.join(", "))
}

/// The claims in the order of the verification, then measurements that belong to no claim in it.
pub(crate) fn claims(input: &Input<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for claim in &input.verification.claims {
        blocks.push(Block::Heading(2, claim.title.clone()));
        blocks.push(Block::Verdict { title: claim.title.clone(), verdict: claim.verdict });
        blocks.push(Block::Table(statements(claim)));
        blocks.extend(evidence(claim.id, input));
    }
    for (id, heading) in [
        (ClaimId::Memory, "Memory"),
        (ClaimId::Heads, "Attention heads"),
        (ClaimId::Compression, "Compression"),
    ] {
        let evidence = evidence(id, input);
        if !evidence.is_empty() && input.verification.claims.iter().all(|claim| claim.id != id) {
            blocks.push(Block::Heading(2, heading.to_owned()));
            blocks.extend(evidence);
        }
    }
    blocks
}

fn statements(claim: &Claim) -> Table {
    use Align::Left;
    let columns =
        [("statement", Left), ("published", Left), ("measured", Left), ("holds", Left), ("reason", Left)];
    let mut table = Table::new("Statement by statement", &columns);
    for Statement { text, published, measured, holds, reason } in &claim.statements {
        let holds = match holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not tested",
        };
        let or_missing = |text: &String| if text.is_empty() { MISSING.to_owned() } else { text.clone() };
        table.push(vec![
            text.clone(),
            or_missing(published),
            or_missing(measured),
            holds.to_owned(),
            or_missing(reason),
        ]);
    }
    table
}

fn evidence(id: ClaimId, input: &Input<'_>) -> Vec<Block> {
    match id {
        ClaimId::Memory => memory_evidence(input),
        ClaimId::Heads => heads_evidence(input),
        ClaimId::Compression => compression_evidence(input),
    }
}

fn memory_evidence(input: &Input<'_>) -> Vec<Block> {
    let tables = memory::tables(input.memory).into_iter().map(Block::Table);
    let charts = memory::charts(input.memory);
    tables.chain(charts.iter().map(|chart| figure(&chart.title, chart.to_svg()))).collect()
}

fn heads_evidence(input: &Input<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for model in heads::summaries(input.heads, input.manifest.seed) {
        blocks.push(Block::Heading(3, model.model));
        blocks.push(Block::Table(model.classes));
        blocks.push(Block::Table(model.statistics));
        blocks.extend(model.lengths.map(Block::Table));
        blocks.extend(model.charts.iter().map(|chart| figure(&chart.title, chart.to_svg())));
        blocks.extend(model.heat_maps.iter().map(|map| figure(&map.title, map.to_svg())));
    }
    blocks
}

fn compression_evidence(input: &Input<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !input.cells.is_empty() {
        blocks.extend(self_check(input));
        blocks.push(Block::Text(compression::READING.to_owned()));
    }
    for model in compression::summaries(input.cells, input.manifest.seed) {
        blocks.push(Block::Heading(3, model.model.clone()));
        blocks.extend(compression::tables(&model).into_iter().map(Block::Table));
        let charts = compression::charts(&model);
        blocks.extend(charts.iter().map(|chart| figure(&chart.title, chart.to_svg())));
    }
    blocks
}

fn self_check(input: &Input<'_>) -> Vec<Block> {
    let check = compression::self_check(input.cells);
    let failed = check.failures.len();
    if check.checked == 0 {
        let text = "Self-check: no cell kept everything at budget 1, so nothing shows that a full budget changes nothing.";
        return vec![Block::Text(text.to_owned())];
    }
    if failed == 0 {
        let n = check.checked;
        return vec![Block::Text(format!(
            "Self-check: in all {n} cells that keep everything at budget 1, KL is 0 and agreement is 100 %."
        ))];
    }
    let text = format!(
        "Self-check FAILED: {failed} of {} cells that keep everything at budget 1 differ from the full cache, so the \
         numbers below are not to be trusted.",
        check.checked
    );
    let mut shown = check.failures;
    if failed > 5 {
        shown.truncate(5);
        shown.push(format!("and {} more", failed - 5));
    }
    vec![Block::Text(text), Block::List(shown)]
}

fn figure(caption: &str, svg: String) -> Block {
    Block::Figure(Figure { id: String::new(), caption: caption.to_owned(), svg })
}
