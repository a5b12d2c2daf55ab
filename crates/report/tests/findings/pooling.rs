//! How should the query heads of a group agree?

use crate::cells::{Cell, Run};
use crate::finding::Finding;
use crate::sentence::{Check, Sentence, list};

const MODEL: &str = "tiny-gqa";
const BUDGET: &str = "0.1";

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    Finding { title: "Pooling of groups", sentences: sentences(), tables: Vec::new() }
}

fn sentences() -> Vec<Sentence> {
    let run = &Run::newest("gqa-pooling");
    let cell = |policy: &str, pool: &str| Cell::new(MODEL, &format!("{policy}{{pool='{pool}'}}"), BUDGET);
    let largest = [
        "uniform+window-attention",
        "uniform+accumulated-attention",
        "adaptive+window-attention",
        "uniform+oracle",
    ];
    let decided: Vec<&str> = largest
        .into_iter()
        .filter(|policy| {
            !run.kl_difference(&cell(policy, "max"), &Cell::new(MODEL, policy, BUDGET)).undecided()
        })
        .collect();
    let kl = |cell: &Cell| run.by_text(cell, |row| row.kl_nats).into_values().collect::<Vec<f64>>();
    let differ: Vec<&str> = largest[..3]
        .iter()
        .copied()
        .filter(|policy| kl(&cell(policy, "sum")) != kl(&Cell::new(MODEL, policy, BUDGET)))
        .collect();
    vec![
        Sentence::new(
            "At a tenth, the intervals of the maximum of a group minus its mean include zero for all {} \
             policies.",
            &[&largest.len()],
            [Check::new(decided.is_empty(), format!("they exclude zero for {}", list(&decided)))],
        ),
        Sentence::new(
            "The sum gives the same KL as the mean, to the bit.",
            &[],
            [Check::new(differ.is_empty(), format!("they differ for {}", list(&differ)))],
        ),
    ]
}
