//! What a real pretrained model shows: SmolLM2-135M-Instruct, a control in full precision.

use crate::cells::{Cell, Run, mean};
use crate::entropy::{RULES, gains_at};
use crate::finding::{Finding, table};
use crate::results::{newest, repository, rows};
use crate::sentence::{Check, Sentence, list, nats, percent, range, thousands};
use bitkv_record::{HeadRow, WeightKind};
use std::collections::{BTreeMap, BTreeSet};

const MODEL: &str = "SmolLM2-135M-Instruct";
/// The bound of focused heads, bits.
const FOCUSED: f64 = 1.5;
const BUDGETS: [&str; 5] = ["0.5", "0.25", "0.1", "0.0625", "0.03125"];
/// The policies of the table, with recency as the baseline of differences.
const POLICIES: [&str; 12] = [
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+window-attention",
    "uniform+expected-attention",
    "uniform+kvzip",
    "uniform+key-diff",
    "entropy+window-attention",
    "pyramid+window-attention",
    "adaptive+window-attention",
    "cake+window-attention",
    "uniform+random",
    "uniform+oracle",
];

/// The lengths of contexts with a needle, in tokens.
const LENGTHS: [usize; 3] = [1024, 2048, 4096];
/// The policies that answer at all lengths, without the oracle.
const NEEDLE_POLICIES: [&str; 6] = [
    "uniform+recency",
    "uniform+window-attention",
    "uniform+expected-attention",
    "uniform+key-diff",
    "adaptive+window-attention",
    "uniform+random",
];

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("smollm2-scorers-and-allocators");
    let heads = &rows::<HeadRow>(&newest("smollm2-heads"), "heads.csv");
    assert!(
        heads.iter().filter(|row| row.model == MODEL).all(|row| row.weights == Some(WeightKind::Control))
    );
    let rules = &Run::newest("smollm2-published-rules");
    let retrieval = &Run::newest("smollm2-retrieval");
    let sentences = vec![
        entropies(heads),
        best(run),
        allocators(run),
        budgets_by_entropy(&Run::newest("smollm2-verify")),
        against_the_oracle(rules),
        needles(retrieval),
        lists_of_words(),
    ];
    let tables = vec![kl_table(run), rule_table(rules), needle_table(retrieval)];
    Finding { title: "A real model: SmolLM2", sentences, tables }
}

/// Returns the mean entropy of every head at a length.
fn profile(heads: &[HeadRow], length: usize) -> Vec<f64> {
    let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for row in heads.iter().filter(|row| row.model == MODEL && row.context == length) {
        values.entry((row.layer, row.head)).or_default().extend(row.entropy_bits);
    }
    values.values().map(|of_head| mean(of_head)).collect()
}

fn entropies(heads: &[HeadRow]) -> Sentence {
    let own = heads.iter().filter(|row| row.model == MODEL);
    let lengths: Vec<usize> = own.map(|row| row.context).collect::<BTreeSet<_>>().into_iter().collect();
    let (first, last) = (lengths[0], lengths[lengths.len() - 1]);
    let profiles = [profile(heads, first), profile(heads, last)];
    let focused =
        |bits: &Vec<f64>| bits.iter().filter(|bits| **bits < FOCUSED).count() as f64 / bits.len() as f64;
    Sentence::new(
        "{}, a dense Llama with {} heads, has {} of its heads below {} bits at {} tokens and {} at {}; their mean \
         entropy is {} and {} bits.",
        &[
            &MODEL,
            &profiles[0].len(),
            &percent(focused(&profiles[0])),
            &FOCUSED,
            &first,
            &percent(focused(&profiles[1])),
            &thousands(last),
            &format!("{:.2}", mean(&profiles[0])),
            &format!("{:.2}", mean(&profiles[1])),
        ],
        [Check::new(profiles.iter().all(|heads| heads.len() == 270), "every head has an entropy".to_owned())],
    )
}

fn kl(run: &Run, policy: &str, budget: &str) -> f64 {
    run.kl(&Cell::new(MODEL, policy, budget))
}

fn best(run: &Run) -> Sentence {
    let mut found: Vec<(String, f64)> = POLICIES
        .into_iter()
        .filter(|policy| policy.starts_with("uniform+") && !policy.ends_with("oracle"))
        .map(|policy| (policy.trim_start_matches("uniform+").to_owned(), kl(run, policy, "0.25")))
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let described = list(found.iter().map(|(name, kl)| format!("`{name}` ({})", nats(*kl))));
    Sentence::new(
        "With a quarter of the cache and uniform budgets, its scorers by rising KL are {}; the oracle has {}.",
        &[&described, &nats(kl(run, "uniform+oracle", "0.25"))],
        [Check::rising(&found)],
    )
}

fn allocators(run: &Run) -> Sentence {
    let differences = ["entropy", "pyramid", "adaptive", "cake"].map(|allocator| {
        let cell = |allocator: &str| Cell::new(MODEL, &format!("{allocator}+window-attention"), "0.25");
        format!("`{allocator}` {}", run.kl_difference(&cell(allocator), &cell("uniform")).marked())
    });
    Sentence::new(
        "With window attention at that budget, the KL of other allocators minus that of uniform budgets is {}.",
        &[&list(differences)],
        [],
    )
}

/// Budgets by entropy in the run of `bitkv verify`, whose name of the model is that of its file.
fn budgets_by_entropy(run: &Run) -> Sentence {
    let cell = |allocator: &str, budget: &str| {
        Cell::new(&format!("{MODEL}.Q4_1"), &format!("{allocator}+window-attention"), budget)
    };
    let differences = |allocator: &str| {
        ["0.5", "0.2", "0.1"]
            .map(|budget| run.kl_difference(&cell("entropy", budget), &cell(allocator, budget)))
    };
    let [uniform, permuted] = ["uniform", "entropy-permuted"].map(differences);
    Sentence::new(
        "In `bitkv verify`, with window attention and the same number of entries at {}, the KL of budgets by \
         entropy minus that of uniform budgets is {}, and minus that of permuted budgets {}: on this model \
         budgets by entropy are not better at any compression, and worse where a star says so.",
        &[&"2x, 5x and 10x", &list(uniform.map(|d| d.marked())), &list(permuted.map(|d| d.marked()))],
        [Check::new(
            uniform.iter().chain(&permuted).all(|difference| !difference.below()),
            "budgets by entropy are better somewhere",
        )],
    )
}

fn against_the_oracle(run: &Run) -> Sentence {
    let ratios = RULES.map(|rule| {
        let budget = format!("0.2 by {rule}");
        run.kl(&Cell::new(MODEL, rule, &budget)) / run.kl(&Cell::new(MODEL, "uniform+oracle", &budget))
    });
    let (least, most) = range(&ratios);
    Sentence::new(
        "At the entries that each published rule keeps when a fifth is asked for, the rules have {} to {} times \
         the KL of `uniform+oracle`.",
        &[&nats(least), &nats(most)],
        [Check::new(least > 1.0, format!("ratios {ratios:?}"))],
    )
}

/// The differences in KL of budgets by entropy, at the entries that the published rules keep.
fn rule_table(run: &Run) -> String {
    let row = |rule: &str| {
        let budget = format!("0.2 by {rule}");
        let mut row = vec![format!("`{budget}`"), percent(run.kept(&Cell::new(MODEL, rule, &budget)))];
        row.extend(gains_at(run, MODEL, &budget));
        row
    };
    let columns = "SmolLM2 (control): entries of|kept|oracle: entropy minus uniform|entropy minus permuted|window \
                   attention: entropy minus uniform|entropy minus permuted";
    table(columns, &RULES.map(row))
}

fn needle(policy: &str, budget: &str, tokens: usize) -> Cell {
    Cell::new(MODEL, policy, budget).task("needle-in-prose").context(tokens)
}

/// Returns the share of right answers among the questions of all lengths, 0..1.
fn accuracy_at_all_lengths(run: &Run, cell: impl Fn(usize) -> Cell) -> f64 {
    let answers = LENGTHS.map(|tokens| run.answers(&cell(tokens)));
    let (correct, questions) = answers.iter().fold((0, 0), |sum, a| (sum.0 + a.0, sum.1 + a.1));
    correct as f64 / questions as f64
}

fn needles(run: &Run) -> Sentence {
    let full = LENGTHS.map(|tokens| percent(run.accuracy(&needle("full", "1.0", tokens))));
    let quarter = |policy: &str| accuracy_at_all_lengths(run, |tokens| needle(policy, "0.25", tokens));
    let mut found = NEEDLE_POLICIES.map(|policy| (policy.to_owned(), quarter(policy))).to_vec();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let described = list(found.iter().map(|(policy, share)| format!("`{policy}` {}", percent(*share))));
    Sentence::new(
        "With its full cache, it finds a number in prose in {} of the contexts of {} tokens. With a quarter of \
         the cache, evicted before the question is known, recency has most right answers; \
         those of all three lengths are {}; the oracle, which sees what follows the context, has {}.",
        &[&list(full), &list(LENGTHS.map(thousands)), &described, &percent(quarter("uniform+oracle"))],
        [Check::new(found[0].0 == "uniform+recency", format!("{found:?}"))],
    )
}

/// What the first run of the definition of retrieval showed.
fn lists_of_words() -> Sentence {
    let run = Run::read(&repository().join("results/smollm2-retrieval"));
    let share = |task: &str| {
        accuracy_at_all_lengths(&run, |tokens| Cell::new(MODEL, "full", "1.0").task(task).context(tokens))
    };
    let lost = ["passkey", "needles", "variables"].map(share);
    Sentence::new(
        "Lists of single words are foreign to it: with its full cache, it answers no question of `passkey`, \
         `needles` and `variables`, and {} of `recall`.",
        &[&percent(share("recall"))],
        [Check::new(lost.iter().all(|share| *share == 0.0), format!("{lost:?}"))],
    )
}

fn needle_table(run: &Run) -> String {
    let row = |policy: &str| {
        let shares = ["0.5", "0.25", "0.1"]
            .into_iter()
            .flat_map(|budget| LENGTHS.map(|tokens| percent(run.accuracy(&needle(policy, budget, tokens)))));
        [format!("`{policy}`")].into_iter().chain(shares).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = NEEDLE_POLICIES.into_iter().chain(["uniform+oracle"]).map(row).collect();
    table(
        "SmolLM2 (control): needle in prose|1/2: 1,024 tokens|2,048|4,096|1/4: 1,024|2,048|4,096|1/10: 1,024|2,048|4,096",
        &rows,
    )
}

fn kl_table(run: &Run) -> String {
    let row = |policy: &str| {
        let values = BUDGETS.map(|budget| nats(kl(run, policy, budget)));
        [format!("`{policy}`")].into_iter().chain(values).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = POLICIES.into_iter().map(row).collect();
    table("SmolLM2 (control): KL at|1/2|1/4|1/10|1/16|1/32", &rows)
}
