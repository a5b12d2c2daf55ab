//! Claim 3: what compressing the cache costs.

use anyhow::Result;
use bitkv_evict::{Needs, Policy};
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
pub const POLICIES: [&str; 14] = [
    "full",
    "entropy-proportional",
    "entropy-global",
    "entropy-inverted",
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+window-attention",
    "uniform+key-norm",
    "uniform+random",
    "uniform+oracle",
    "entropy+recency",
    "entropy+window-attention",
    "entropy-permuted+window-attention",
    "entropy-inverse+window-attention",
];

/// Parts kept: the self-check, and compression 2x, 5x and 10x.
pub const BUDGETS: [f64; 4] = [1.0, 0.5, 0.2, 0.1];

/// Facts of a retrieval context: answers are asked over up to 120 tokens.
const FACTS: usize = 40;
/// Questions about each.
const QUESTIONS: usize = 20;

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
    let rows: Vec<Vec<CellRow>> = cases
        .par_iter()
        .map(|case| {
            let rows = one(subject, case, &policies, &needs, profile);
            steps.advance();
            rows
        })
        .collect::<Result<_>>()?;
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
        let recall = vocabulary.draw(FACTS, QUESTIONS, options.seed + i as u64)?;
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
    let context = Context::read(subject, &case.context, &case.continuation, needs)?;
    let label = Label { model: &subject.name, text: &case.name, register: &case.register };
    let scored = match &case.scored {
        Owned::Text { targets, bytes } => Scored::Text { targets, bytes: *bytes },
        Owned::Recall(recall) => Scored::Recall(recall),
    };
    let mut rows = Vec::new();
    for policy in policies {
        let budgets = if policy.spec() == "full" { &BUDGETS[..1] } else { &BUDGETS[..] };
        for &budget in budgets {
            rows.push(cell::measure(label, &context, profile, policy, budget, scored)?);
        }
    }
    Ok(rows)
}
