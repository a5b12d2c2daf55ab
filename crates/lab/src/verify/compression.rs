//! Claim 3: what compressing the cache costs.

use anyhow::{Result, ensure};
use bitkv_bitnet::Observe;
use bitkv_evict::{Need, Needs, Planner, Policy};
use bitkv_record::{CellRow, Texts};
use rayon::prelude::*;

use super::Options;
use crate::{
    Subject,
    cell::{self, Label, Scored},
    context::Context,
    progress::Steps,
    recall::Vocabulary,
    window::{Window, bytes_of},
};

/// What is compared: full attention, the published rules, and rivals and controls that spend the same.
pub const POLICIES: [&str; 17] = [
    "full",
    "entropy-proportional",
    "entropy-global",
    "entropy-inverted",
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+window-attention",
    "uniform+key-norm",
    "uniform+random{recent=0,sinks=0}",
    "uniform+oracle",
    "entropy+oracle",
    "entropy-inverse+oracle",
    "entropy-permuted+oracle",
    "entropy+recency",
    "entropy+window-attention",
    "entropy-permuted+window-attention",
    "entropy-inverse+window-attention",
];

/// Parts kept: the self-check, and compression 2x, 5x and 10x.
pub const BUDGETS: [f64; 4] = [1.0, 0.5, 0.2, 0.1];

/// Facts of a retrieval context, three tokens each: at 10x a head keeps 24 entries, twice what every policy protects.
const FACTS: usize = 80;
/// Vocabularies up to this are small enough to run several cases at once.
const SMALL_VOCABULARY: usize = 32_768;
/// Questions about each.
const QUESTIONS: usize = 20;

/// Tokens of a retrieval context with its questions.
pub(super) const RECALL_TOKENS: usize = 1 + 3 * (FACTS + QUESTIONS);

struct Case {
    name: String,
    register: String,
    context: Vec<u32>,
    continuation: Vec<u32>,
    scored: Owned,
}

enum Owned {
    Text { targets: Vec<u32>, bytes: usize },
    Recall(crate::recall::Recall),
}

/// Every policy at every budget on every evaluation text and retrieval context.
pub(super) fn measure(
    subject: &Subject,
    texts: &Texts,
    profile: &[f64],
    options: &Options,
) -> Result<Vec<CellRow>> {
    let policies: Vec<Policy> = POLICIES.iter().map(|spec| Policy::parse(spec)).collect::<Result<_, _>>()?;
    let needs = policies.iter().fold(Needs::default(), |needs, policy| needs.union(policy.needs()));
    let mut cases = text_cases(subject, texts, options)?;
    cases.extend(recall_cases(subject, options)?);
    let steps = Steps::new(&format!("{} policies", subject.name), cases.len());
    let of_case = |case: &Case| {
        let rows = one(subject, case, &policies, &needs, profile);
        steps.advance();
        rows
    };
    // Every case in flight holds logits of its whole continuation, so large vocabularies go one by one.
    let rows: Vec<Vec<CellRow>> = if subject.config().vocab_size <= SMALL_VOCABULARY {
        cases.par_iter().map(of_case).collect::<Result<_>>()?
    } else {
        cases.iter().map(of_case).collect::<Result<_>>()?
    };
    steps.finish();
    Ok(rows.into_iter().flatten().collect())
}

fn text_cases(subject: &Subject, texts: &Texts, options: &Options) -> Result<Vec<Case>> {
    let texts: Vec<_> = texts.evaluation().collect();
    let windows = Window::of_all(subject, &texts, options.window())?;
    let case = |window: Window| {
        let (context, rest) = window.tokens.split_at(options.context_tokens);
        let targets = rest[1..].to_vec();
        Ok(Case {
            name: window.name,
            register: window.register,
            context: context.to_vec(),
            continuation: rest[..rest.len() - 1].to_vec(),
            scored: Owned::Text { bytes: bytes_of(subject, &targets)?, targets },
        })
    };
    windows.into_iter().map(case).collect()
}

fn recall_cases(subject: &Subject, options: &Options) -> Result<Vec<Case>> {
    let vocabulary = Vocabulary::new(subject)?;
    let case = |i: usize| {
        let recall = vocabulary.draw(FACTS, QUESTIONS, options.seed.wrapping_add(i as u64))?;
        Ok(Case {
            name: format!("recall-{i:02}"),
            register: "recall".into(),
            context: recall.context.clone(),
            continuation: recall.questions.clone(),
            scored: Owned::Recall(recall),
        })
    };
    (0..options.recalls).map(case).collect()
}

fn one(
    subject: &Subject,
    case: &Case,
    policies: &[Policy],
    needs: &Needs,
    profile: &[f64],
) -> Result<Vec<CellRow>> {
    let numbers = [(Need::Entropy, profile.to_vec())].into();
    let (tokens, rest) = (&case.context, &case.continuation);
    let context = Context::read(subject, tokens, rest, needs, &numbers, &Observe::default())?;
    let view = context.evidence().view();
    let planner = Planner::new(&view);
    let label = Label { model: &subject.name, text: &case.name, register: &case.register };
    let scored = match &case.scored {
        Owned::Text { targets, bytes } => Scored::Text { targets, bytes: *bytes },
        Owned::Recall(recall) => Scored::Recall(recall),
    };
    let mut rows = Vec::new();
    for policy in policies {
        let budgets = if policy.spec() == "full" { &BUDGETS[..1] } else { &BUDGETS[..] };
        for &budget in budgets {
            let row = cell::measure(label, &context, &planner, policy, budget, scored)?;
            self_check(&row)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Nothing evicted, nothing changed: otherwise no number of the run can be trusted.
fn self_check(row: &CellRow) -> Result<()> {
    let exact = row.kl_nats.is_none_or(|kl| kl == 0.0) && row.agreement.is_none_or(|part| part == 1.0);
    ensure!(
        !row.conserving || row.budget < 1.0 || exact,
        "the self-check failed: {} at budget 1 on {} has a KL of {:?} and an agreement of {:?}; report this as a defect",
        row.policy,
        row.text,
        row.kl_nats,
        row.agreement
    );
    Ok(())
}
