//! Is entropy the reason? The published rules and budgets by entropy, at the entries that the rules keep.

use crate::cells::{Cell, Difference, MODELS, Run};
use crate::finding::{Finding, table};
use crate::sentence::{Check, Sentence, list, nats, percent, range};

pub(crate) const RULES: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];
const ASKED: [&str; 3] = ["0.5", "0.2", "0.1"];
const SCORERS: [(&str, &str); 2] = [("oracle", "the oracle"), ("window-attention", "window attention")];

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("entropy-is-the-reason");
    let mut sentences = vec![against_the_oracle(run), overspending(run)];
    sentences.push(counts(run, "uniform", "uniform ones"));
    sentences.push(counts(run, "entropy-permuted", "budgets that are permuted among heads"));
    sentences.push(inverse(run));
    Finding { title: "Is entropy the reason?", sentences, tables: vec![kept(run), gains(run)] }
}

/// Returns the budgets at the realised entries of every rule.
fn budgets() -> Vec<(&'static str, String)> {
    RULES.iter().flat_map(|rule| ASKED.map(|asked| (*rule, format!("{asked} by {rule}")))).collect()
}

fn against_the_oracle(run: &Run) -> Sentence {
    let compared = MODELS.map(|model| {
        let (mut ratios, mut excluding) = (Vec::new(), 0);
        for (rule, budget) in budgets() {
            let (rule, oracle) =
                (Cell::new(model, rule, &budget), Cell::new(model, "uniform+oracle", &budget));
            ratios.push(run.kl(&rule) / run.kl(&oracle));
            excluding += usize::from(run.kl_difference(&rule, &oracle).above());
        }
        (range(&ratios), excluding)
    });
    let [(mha, mha_excluding), (gqa, gqa_excluding)] = compared;
    Sentence::new(
        "At the entries that each published rule really keeps, all three rules have a higher KL than \
         `uniform+oracle`, which has the same budget and the same knowledge: {} to {} times as much with \
         {}, where the interval of the difference excludes zero in {} of {} cells, and {} to {} times with \
         {}, where it does so in {}.",
        &[
            &nats(mha.0),
            &nats(mha.1),
            &MODELS[0],
            &mha_excluding,
            &budgets().len(),
            &nats(gqa.0),
            &nats(gqa.1),
            &MODELS[1],
            &gqa_excluding,
        ],
        [Check::new(mha.0 > 1.0 && gqa.0 > 1.0, format!("ratios from {} and from {}", mha.0, gqa.0))],
    )
}

fn share(run: &Run, model: &str, rule: &str, asked: &str) -> String {
    percent(run.kept(&Cell::new(model, rule, asked)))
}

fn overspending(run: &Run) -> Sentence {
    let [mha, gqa] = MODELS;
    Sentence::new(
        "The rules do not keep what they are asked for: asked for {}, `entropy-proportional` keeps {} with \
         {}, and asked for {}, `entropy-inverted` keeps {} with {}.",
        &[
            &"the whole cache",
            &share(run, mha, "entropy-proportional", "1.0"),
            &mha,
            &"10 %",
            &share(run, gqa, "entropy-inverted", "0.1"),
            &gqa,
        ],
        [],
    )
}

/// Returns the table of the shares that the rules really keep.
fn kept(run: &Run) -> String {
    let rows = MODELS.iter().flat_map(|model| {
        RULES.map(|rule| {
            let shares = ["1.0", "0.5", "0.2", "0.1"].map(|asked| share(run, model, rule, asked));
            [&[(*model).to_owned(), format!("`{rule}`")], &shares[..]].concat()
        })
    });
    table("model|rule|kept at 1.0|at 0.5|at 0.2|at 0.1", &rows.collect::<Vec<_>>())
}

/// Returns in how many cells the KL of budgets by entropy is lower than that of other budgets, cannot be
/// distinguished, and is higher.
fn count(run: &Run, model: &str, scorer: &str, second: &str) -> [usize; 3] {
    let found = differences(run, model, &format!("entropy+{scorer}"), &format!("{second}+{scorer}"));
    [Difference::below, Difference::undecided, Difference::above]
        .map(|property| found.iter().filter(|difference| property(difference)).count())
}

fn counts(run: &Run, second: &str, name: &str) -> Sentence {
    let found = MODELS.map(|model| SCORERS.map(|(scorer, _)| count(run, model, scorer, second)));
    let [mha, gqa] = found.map(|scorers| list(scorers.map(|[below, ..]| below)));
    let above = match found.as_flattened().iter().map(|[.., above]| above).sum::<usize>() {
        0 => "no cell".to_owned(),
        count => format!("{count} of all cells"),
    };
    Sentence::new(
        "With the same scorer (the oracle, window attention) and these entries, budgets by entropy have a \
         lower KL than {} in {} ({}) and {} ({}) of {} cells, and a higher one in {}; in the others the \
         interval includes zero.",
        &[&name, &mha, &MODELS[0], &gqa, &MODELS[1], &budgets().len(), &above],
        [Check::new(
            found.as_flattened().iter().all(|counts| counts.iter().sum::<usize>() == 9),
            "cells are missing",
        )],
    )
}

/// Returns the mean differences in KL of budgets by entropy at a budget: with each scorer, minus uniform and
/// minus permuted ones.
pub(crate) fn gains_at(run: &Run, model: &str, budget: &str) -> Vec<String> {
    let mut gains = Vec::new();
    for (scorer, _) in SCORERS {
        for second in ["uniform", "entropy-permuted"] {
            let [own, other] = ["entropy", second]
                .map(|allocator| Cell::new(model, &format!("{allocator}+{scorer}"), budget));
            gains.push(run.kl_difference(&own, &other).marked());
        }
    }
    gains
}

/// Returns the table of the mean differences in KL, for each rule whose entries are kept.
fn gains(run: &Run) -> String {
    let mut rows = Vec::new();
    for model in MODELS {
        for (_, budget) in budgets() {
            let mut row = vec![model.to_owned(), format!("`{budget}`")];
            row.extend(gains_at(run, model, &budget));
            rows.push(row);
        }
    }
    table(
        "model|entries of|oracle: entropy minus uniform|entropy minus permuted|window attention: entropy \
         minus uniform|entropy minus permuted",
        &rows,
    )
}

fn inverse(run: &Run) -> Sentence {
    let mut not_worse = Vec::new();
    for model in MODELS {
        for (scorer, name) in SCORERS {
            let found =
                differences(run, model, &format!("entropy-inverse+{scorer}"), &format!("uniform+{scorer}"));
            not_worse.extend(found.iter().filter(|d| !d.above()).map(|_| format!("{model} with {name}")));
        }
    }
    Sentence::new(
        "Inverse budgets are worse than uniform ones in every cell, so `entropy-inverted`, the rule from \
         which the published percentages come, has the wrong sign.",
        &[],
        [Check::new(not_worse.is_empty(), format!("they are not worse for {}", list(not_worse)))],
    )
}

/// Returns the paired differences in KL of two policies at the realised entries of every rule.
fn differences(run: &Run, model: &str, first: &str, second: &str) -> Vec<Difference> {
    let cells = budgets().into_iter();
    cells
        .map(|(_, budget)| {
            run.kl_difference(&Cell::new(model, first, &budget), &Cell::new(model, second, &budget))
        })
        .collect()
}
