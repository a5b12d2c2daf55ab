//! Scorers and allocators at a fifth of the cache.

use crate::cells::{Cell, Difference, MODELS, Run};
use crate::finding::{Finding, table};
use crate::sentence::{Check, Sentence, change, list, nats};

const BUDGET: &str = "0.2";
/// The scorers that run with uniform budgets, each with the name in prose.
const SCORERS: [(&str, &str); 16] = [
    ("oracle", "the oracle"),
    ("kvzip", "`kvzip`"),
    ("defensive", "`defensive`"),
    ("accumulated-attention{normalised=true}", "normalised `accumulated-attention`"),
    ("critical", "`critical`"),
    ("critical{norm='plain'}", "`critical` with plain norms"),
    ("cake-attention", "`cake-attention`"),
    ("window-attention", "`window-attention`"),
    ("r-kv", "`r-kv`"),
    ("expected-attention", "`expected-attention`"),
    ("lag{lag=32}", "`lag`"),
    ("recency", "`recency`"),
    ("accumulated-attention", "`accumulated-attention`"),
    ("tova", "`tova`"),
    ("key-diff", "`key-diff`"),
    ("key-norm", "`key-norm`"),
];
/// The allocators that run with window attention.
const ALLOCATORS: [&str; 10] = [
    "effective-tokens",
    "entropy-inverse",
    "entropy-permuted",
    "pyramid",
    "adaptive",
    "adaptive{floor='linear'}",
    "global",
    "cake",
    "zig-zag",
    "squeeze",
];

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("scorers-and-allocators");
    let mut sentences = vec![best(run)];
    sentences.extend(MODELS.map(|model| against_recency(run, model)));
    sentences.push(against_random(run));
    sentences.push(allocators(run));
    sentences.push(competition(run));
    let tables = vec![scorer_table(run), allocator_table(run)];
    Finding { title: "Scorers and allocators", sentences, tables }
}

fn scorer(model: &str, scorer: &str) -> Cell {
    Cell::new(model, &format!("uniform+{scorer}"), BUDGET)
}

/// Returns the scorers that a cache can compute, by rising KL.
fn order(run: &Run, model: &str) -> Vec<(String, f64)> {
    let own = SCORERS.into_iter().filter(|(policy, _)| *policy != "oracle");
    let with_kl = own.map(|(policy, name)| (name.to_owned(), run.kl(&scorer(model, policy))));
    let mut found: Vec<(String, f64)> = with_kl.collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found
}

fn best(run: &Run) -> Sentence {
    let [mha, gqa] = MODELS.map(|model| {
        let found = order(run, model);
        list(found[..4].iter().map(|(name, kl)| format!("{name} ({})", nats(*kl))))
    });
    let oracle = MODELS.map(|model| run.kl(&scorer(model, "oracle")));
    Sentence::new(
        "With uniform budgets at a fifth, the scorers with the lowest KL are {} with {}, and {} with {}; \
         the oracle has {} and {}.",
        &[&mha, &MODELS[0], &gqa, &MODELS[1], &nats(oracle[0]), &nats(oracle[1])],
        MODELS.map(|model| Check::rising(&order(run, model))),
    )
}

fn scorer_table(run: &Run) -> String {
    let mut found: Vec<(f64, Vec<String>)> = Vec::new();
    for (policy, name) in [&SCORERS[..], &[("random", "random choice")]].concat() {
        let mut row = vec![name.to_owned()];
        for model in MODELS {
            row.push(nats(run.kl(&scorer(model, policy))));
            let difference = run.kl_difference(&scorer(model, policy), &scorer(model, "recency"));
            row.push(if policy == "recency" { String::new() } else { difference.marked() });
        }
        found.push((MODELS.iter().map(|model| run.kl(&scorer(model, policy))).sum(), row));
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows: Vec<Vec<String>> = found.into_iter().map(|(_, row)| row).collect();
    table("scorer, budget 0.2|tiny-mha: KL|minus recency|tiny-gqa: KL|minus recency", &rows)
}

/// Returns the names of the scorers whose difference from a baseline has a property.
fn those(run: &Run, model: &str, baseline: &str, property: fn(&Difference) -> bool) -> Vec<&'static str> {
    let difference = |policy| run.kl_difference(&scorer(model, policy), &scorer(model, baseline));
    let others = SCORERS.into_iter().filter(|(policy, _)| *policy != baseline && *policy != "oracle");
    others.filter(|(policy, _)| property(&difference(policy))).map(|(_, name)| name).collect()
}

fn against_recency(run: &Run, model: &str) -> Sentence {
    let [worse, undecided, better] = [Difference::above, Difference::undecided, Difference::below]
        .map(|p| those(run, model, "recency", p));
    Sentence::new(
        "With {}, {} are worse than recency (the interval of the difference is above zero), the intervals \
         of {} include zero, and the other scorers are better.",
        &[&model, &list(&worse), &list(&undecided)],
        [Check::new(
            worse.len() > 1 && undecided.len() > 1 && !better.is_empty(),
            format!("better: {}", list(&better)),
        )],
    )
}

fn against_random(run: &Run) -> Sentence {
    let random = MODELS.map(|model| run.kl(&scorer(model, "random")));
    let worse = MODELS.map(|model| {
        let higher = order(run, model).into_iter().filter(|(_, kl)| *kl > run.kl(&scorer(model, "random")));
        list(higher.map(|(name, kl)| format!("{name} ({})", nats(kl))))
    });
    Sentence::new(
        "Random choice has a KL of {} ({}) and {} ({}); {} with {} and {} with {} have a higher mean.",
        &[
            &nats(random[0]),
            &MODELS[0],
            &nats(random[1]),
            &MODELS[1],
            &worse[0],
            &MODELS[0],
            &worse[1],
            &MODELS[1],
        ],
        [Check::new(worse.iter().all(|worse| worse != "none"), "no scorer is worse than random choice")],
    )
}

/// Returns the allocators by their change of the KL of uniform budgets, a share, with window attention.
fn changes(run: &Run, model: &str) -> Vec<(String, f64, Difference)> {
    let uniform = scorer(model, "window-attention");
    let found = ALLOCATORS.iter().map(|allocator| {
        let cell = Cell::new(model, &format!("{allocator}+window-attention"), BUDGET);
        let name = format!("`{}`", allocator.replace('\'', "\""));
        (name, run.kl(&cell) / run.kl(&uniform) - 1.0, run.kl_difference(&cell, &uniform))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found
}

fn allocators(run: &Run) -> Sentence {
    let [mha, gqa] = MODELS.map(|model| {
        let found = changes(run, model).into_iter().filter(|(_, _, difference)| difference.below());
        list(found.map(|(name, share, _)| format!("{name} ({})", change(share))))
    });
    Sentence::new(
        "With window attention, these allocators have a lower KL than uniform budgets, with an interval \
         that excludes zero: {} with {}, and {} with {}.",
        &[&mha, &MODELS[0], &gqa, &MODELS[1]],
        [Check::new(mha != "none" && gqa != "none", "an interval includes zero for every allocator")],
    )
}

fn allocator_table(run: &Run) -> String {
    let [mha, gqa] = MODELS.map(|model| changes(run, model));
    let described = |(_, share, difference): &(String, f64, Difference)| {
        format!("{}{}", change(*share), difference.star())
    };
    let rows = mha.iter().map(|own| {
        let other = gqa.iter().find(|other| other.0 == own.0).unwrap();
        vec![own.0.clone(), described(own), described(other)]
    });
    let columns = "allocator with window attention, budget 0.2|tiny-mha: KL relative to uniform|tiny-gqa";
    table(columns, &rows.collect::<Vec<_>>())
}

fn competition(run: &Run) -> Sentence {
    let [mha, gqa] = MODELS.map(|model| {
        let adaptive = Cell::new(model, "adaptive+window-attention", BUDGET);
        let found = run.kl_difference(&adaptive, &scorer(model, "window-attention"));
        let size = nats(found.mean.abs());
        match (found.below(), found.above()) {
            (true, _) => format!("has a KL that is {size} lower than that of uniform budgets"),
            (_, true) => format!("has a KL that is {size} higher than that of uniform budgets"),
            _ => "has a KL whose difference from that of uniform budgets is not decided".to_owned(),
        }
    });
    Sentence::new(
        "Competition among the heads of a layer (`adaptive`) {} with {}, and {} with {}.",
        &[&mha, &MODELS[0], &gqa, &MODELS[1]],
        [],
    )
}
