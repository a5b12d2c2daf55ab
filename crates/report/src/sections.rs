//! What a report says, section by section.

mod brief;
mod key_numbers;
mod limits;
mod run;
mod statements;

use crate::compression::SelfCheck;
use crate::curve::Chart;
use crate::document::{Block, Figure};
use crate::table::{Align, Table};
use crate::{HeatMap, Input, compression, heads, memory};
use bitkv_record::{Claim, ClaimId, Role};

pub(crate) use brief::brief;
pub(crate) use limits::{ATTENTION, DIRTY, TEACHER_FORCED, limits};
pub(crate) use run::{provenance, reproduce};

const MEMORY_NOTE: &str = "The cache's part of weights, cache and activations together.";
const HEADS_NOTE: &str = "Means over the heads of a model; n is the number of keys a query sees.";
const HEAT_MAP_NOTE: &str = "Bright is diffuse, dark is focused; all maps of this report have one scale.";

pub(crate) fn title(input: &Input<'_>) -> String {
    format!("KV-cache verification of {}", input.verification.models.join(", "))
}

/// The verdicts at a glance, and the numbers that tell most.
pub(crate) fn summary(input: &Input<'_>) -> Vec<Block> {
    use Align::Left;
    let mut verdicts = Table::new("Verdicts", &[("claim", Left), ("verdict", Left), ("statements", Left)]);
    for claim in &input.verification.claims {
        verdicts.push(vec![claim.title.clone(), claim.verdict.name().to_owned(), counts(claim)]);
    }
    let columns = [("key number", Left), ("published", Left), ("this run", Left)];
    let mut numbers = Table::new("Key numbers", &columns);
    numbers.extend(key_numbers::all(input).into_iter().map(Vec::from));
    let tables = [verdicts, numbers];
    tables.into_iter().filter(|table| !table.is_empty()).map(Block::Table).collect()
}

/// Of the statements that decide the verdict.
fn counts(claim: &Claim) -> String {
    let parts = || claim.statements.iter().filter(|s| s.role == Role::Claim);
    let count = |holds| parts().filter(|s| s.holds == holds).count();
    let (yes, no, untested) = (count(Some(true)), count(Some(false)), count(None));
    let untested = if untested > 0 { format!(", {untested} not tested") } else { String::new() };
    format!("{yes} hold, {no} do not{untested}")
}

/// The claims in the order of the verification, then measurements that belong to no claim in it.
pub(crate) fn claims(input: &Input<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for claim in &input.verification.claims {
        blocks.push(Block::Heading(2, claim.title.clone()));
        blocks.push(Block::Verdict { title: claim.title.clone(), verdict: claim.verdict });
        blocks.push(Block::Table(statements::table(claim, &input.verification.models)));
        blocks.extend(evidence(claim.id, input));
    }
    for id in unclaimed(input) {
        let evidence = evidence(id, input);
        if !evidence.is_empty() {
            let heading = match id {
                ClaimId::Memory => "Memory",
                ClaimId::Heads => "Attention heads",
                ClaimId::Compression => "Compression",
            };
            blocks.push(Block::Heading(2, heading.to_owned()));
            blocks.extend(evidence);
        }
    }
    blocks
}

/// Claims that the verification does not have.
fn unclaimed(input: &Input<'_>) -> Vec<ClaimId> {
    let all = [ClaimId::Memory, ClaimId::Heads, ClaimId::Compression];
    let is_new = |id: &ClaimId| input.verification.claims.iter().all(|claim| claim.id != *id);
    all.into_iter().filter(is_new).collect()
}

fn evidence(id: ClaimId, input: &Input<'_>) -> Vec<Block> {
    match id {
        ClaimId::Memory => memory_evidence(input),
        ClaimId::Heads => heads_evidence(input),
        ClaimId::Compression => compression_evidence(input),
    }
}

fn memory_evidence(input: &Input<'_>) -> Vec<Block> {
    let Some(overview) = memory::overview(input.memory) else { return Vec::new() };
    let mut blocks = vec![Block::Table(overview)];
    blocks.extend(memory::charts(input.memory).iter().map(|chart| drawn(chart, MEMORY_NOTE)));
    let tables = memory::tables(input.memory).into_iter().map(Block::Table).collect();
    blocks.push(Block::Details("Memory by accounting, with activations".to_owned(), tables));
    blocks
}

fn heads_evidence(input: &Input<'_>) -> Vec<Block> {
    let Some(heads) = heads::summary(input.heads, input.manifest.seed) else { return Vec::new() };
    let mut blocks = vec![Block::Table(heads.classes), Block::Table(heads.statistics)];
    blocks.extend(heads.lengths.into_iter().map(Block::Table));
    blocks.extend(heads.charts.iter().map(|chart| drawn(chart, HEADS_NOTE)));
    blocks.push(Block::Text(HEAT_MAP_NOTE.to_owned()));
    blocks.extend(heads.maps.iter().map(mapped));
    if !heads.other_maps.is_empty() {
        let others = heads.other_maps.iter().map(mapped).collect();
        blocks.push(Block::Details("Heat maps at the other context lengths".to_owned(), others));
    }
    blocks
}

fn compression_evidence(input: &Input<'_>) -> Vec<Block> {
    let mut blocks = self_check(input);
    if !input.cells.is_empty() {
        blocks.push(Block::Text(compression::READING.to_owned()));
    }
    for model in compression::summaries(input.cells, input.manifest.seed) {
        blocks.push(Block::Heading(3, model.model.clone()));
        blocks.extend(compression::tables(&model).into_iter().map(Block::Table));
        let note = "Grey: controls and the oracle.";
        blocks.extend(compression::charts(&model).iter().map(|chart| drawn(chart, note)));
        let sizes = compression::sizes(&model);
        if !sizes.is_empty() {
            let title = format!("Entries and bytes of {}", model.model);
            blocks.push(Block::Details(title, vec![Block::Table(sizes)]));
        }
    }
    blocks
}

fn self_check(input: &Input<'_>) -> Vec<Block> {
    if input.cells.is_empty() {
        return Vec::new();
    }
    checked(compression::self_check(input.cells))
}

/// What came of a self-check.
pub(crate) fn checked(check: SelfCheck) -> Vec<Block> {
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

fn mapped(map: &HeatMap) -> Block {
    figure(&map.title, format!("{}.", map.description()), map.to_svg())
}

/// A chart with what its marks mean.
pub(crate) fn drawn(chart: &Chart, remark: &str) -> Block {
    let sentences = [chart.reading(), remark.to_owned()];
    let note = sentences.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
    figure(&chart.title, note, chart.to_svg())
}

fn figure(caption: &str, note: String, svg: String) -> Block {
    Block::Figure(Figure { id: String::new(), caption: caption.to_owned(), note, svg })
}
