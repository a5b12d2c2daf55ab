//! The few lines of a report that a terminal shows.

use super::{counts, key_numbers, self_check, statements, title};
use crate::document::{Block, Document};
use crate::table::LINE_WIDTH;
use crate::{Input, compression, heads, memory};
use bitkv_record::{Claim, ClaimId};

/// Verdicts and key numbers, then for each claim its statements and its most telling table.
pub(crate) fn brief(input: &Input<'_>) -> Document {
    let claims = &input.verification.claims;
    let verdict = |claim: &Claim| {
        format!("{}: {} ({})", claim.verdict.name().to_uppercase(), claim.title, counts(claim))
    };
    let mut blocks = vec![Block::List(claims.iter().map(verdict).collect())];
    let number = |[what, published, here]: [String; 3]| format!("{what}: {here} (published: {published})");
    blocks.push(Block::List(key_numbers::all(input).into_iter().map(number).collect()));
    for claim in claims {
        blocks.push(Block::Heading(2, format!("{}: {}", claim.title, claim.verdict.name().to_uppercase())));
        // Two characters are taken by the bullet.
        let lines = statements::lines(claim, &input.verification.models, LINE_WIDTH - 2);
        blocks.push(Block::List(lines));
        blocks.extend(evidence(claim.id, input));
    }
    for id in super::unclaimed(input) {
        blocks.extend(evidence(id, input));
    }
    if let Some(run) = &input.verification.run {
        blocks.push(Block::Text(format!(
            "Intervals, reasons, limits, all policies and how to reproduce: report.html and report.md in {run}"
        )));
    }
    Document { title: title(input), blocks }
}

fn evidence(id: ClaimId, input: &Input<'_>) -> Vec<Block> {
    match id {
        ClaimId::Memory => memory::brief(input.memory).map(Block::Table).into_iter().collect(),
        ClaimId::Heads => {
            let heads = heads::summary(input.heads, input.manifest.seed);
            heads.map(|heads| Block::Table(heads.brief)).into_iter().collect()
        }
        ClaimId::Compression => {
            let models = compression::summaries(input.cells, input.manifest.seed);
            let tables = models.iter().map(compression::brief).filter(|table| !table.is_empty());
            let mut blocks = self_check(input);
            blocks.extend(tables.map(Block::Table));
            if blocks.iter().any(|block| matches!(block, Block::Table(_))) {
                blocks.push(Block::Text(compression::SELECTION.to_owned()));
            }
            blocks
        }
    }
}
