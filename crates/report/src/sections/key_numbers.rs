//! The number that tells most about each claim.

use crate::compression::{Kind, PolicySummary, factor, summaries};
use crate::format::{optional, percent};
use crate::published::PUBLISHED_HEADS;
use crate::{Input, heads};
use bitkv_record::{Accounting, ClaimId};

/// The part kept at which compression is summed up, or the nearest to it that was asked for.
const BUDGET: f64 = 0.2;

/// What it is, what was published and what came out here: one a claim, and a model where models differ. Claims without
/// measurements are left out.
pub(super) fn all(input: &Input<'_>) -> Vec<[String; 3]> {
    let mut numbers: Vec<[String; 3]> = memory(input).into_iter().collect();
    numbers.extend(focused_heads(input));
    numbers.extend(compression(input));
    numbers
}

/// The largest published share, beside what a runtime stores.
fn memory(input: &Input<'_>) -> Option<[String; 3]> {
    let published = input.memory.iter().filter_map(|row| Some((row, row.published_fraction?)));
    let (row, share) = published.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let same = |other: &&bitkv_record::MemoryRow| {
        other.model == row.model && other.context == row.context && other.accounting == Accounting::Actual
    };
    let stored = input.memory.iter().find(same)?;
    Some([
        format!("KV share of memory, {} at {} tokens", row.model, row.context),
        format!("{} %", percent(share)),
        format!("{} % with weights as stored", percent(stored.kv_fraction)),
    ])
}

fn focused_heads(input: &Input<'_>) -> Vec<[String; 3]> {
    let share = |p: &crate::PublishedHeads| {
        let part = (p.classes.sink + p.classes.focused) as f64 / p.classes.total() as f64;
        format!("{} % ({})", percent(part), p.model)
    };
    let published = PUBLISHED_HEADS.each_ref().map(share).join(", ");
    let row = |shares: heads::FocusedShares| {
        let ((short, at_short), (long, at_long)) = (shares.shortest, shares.longest);
        let longest = format!("{} % at {long} tokens", percent(at_long));
        let both = format!("{longest}, {} % at {short}", percent(at_short));
        [
            format!("heads below 1.5 bits, {}", shares.model),
            published.clone(),
            if short == long { longest } else { both },
        ]
    };
    heads::focused_shares(input.heads, input.manifest.seed).into_iter().map(row).collect()
}

/// Agreement of the best published rule, and of the best rival that spends no more than asked.
fn compression(input: &Input<'_>) -> Vec<[String; 3]> {
    let claim = input.verification.claims.iter().find(|claim| claim.id == ClaimId::Compression);
    let published = claim.and_then(|claim| claim.published.get("exact_match")?.as_f64());
    let published =
        published.map_or_else(|| crate::format::MISSING.to_owned(), |p| format!("{} %", percent(p)));
    let row = |model: crate::compression::ModelCompression| {
        let far = |budget: f64| (budget / BUDGET).ln().abs();
        let asked = model.budgets.iter().filter(|at| at.budget < 1.0);
        let at = asked.min_by(|a, b| far(a.budget).total_cmp(&far(b.budget)))?;
        let best = |kind: Kind| {
            let agreement = |p: &PolicySummary| p.agreement.map_or(f64::NEG_INFINITY, |a| a.value);
            let own = at.policies.iter().filter(|p| p.kind() == kind && p.agreement.is_some());
            own.max_by(|a, b| agreement(a).total_cmp(&agreement(b)))
        };
        let said = |p: &PolicySummary| {
            let agreement = optional(p.agreement.map(|a| a.value), percent);
            format!("{agreement} % by {} with {} % kept", p.policy, percent(p.fraction))
        };
        let both: Vec<String> =
            [best(Kind::Published), best(Kind::Rival)].into_iter().flatten().map(said).collect();
        let name = format!("next token kept at {}, {}", factor(at.budget), model.model);
        (!both.is_empty()).then(|| [name, published.clone(), both.join("; ")])
    };
    summaries(input.cells, input.manifest.seed).into_iter().filter_map(row).collect()
}
