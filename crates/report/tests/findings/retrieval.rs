//! What does a compressed cache forget?

use crate::cells::{Cell, MODELS, Run, interval};
use crate::finding::{Finding, table};
use crate::sentence::{Check, Sentence, list, nats, percent, range, signed};
use std::collections::BTreeMap;

const BUDGET: &str = "0.25";
const POLICIES: [&str; 7] = [
    "uniform+kvzip",
    "uniform+key-diff",
    "uniform+recency",
    "uniform+window-attention",
    "adaptive+window-attention",
    "entropy+window-attention",
    "uniform+random",
];
/// The tasks that lose nearly everything, with their names in prose.
const LOST: [(&str, &str); 3] =
    [("copy", "copying"), ("passkey", "passkeys"), ("variables", "chains of variables")];
const AWARE: [&str; 3] = ["passkey", "needles", "copy"];
const TOKENS: usize = 256;

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("retrieval");
    let mut sentences = vec![full(run)];
    sentences.extend(MODELS.map(|model| best_recall(run, model)));
    sentences.extend([window_on_text(run), lost(run), aware(run), common_words(run)]);
    Finding { title: "Retrieval", sentences, tables: vec![recall_table(run)] }
}

/// Returns the statement of the documentation of metrics about what the built-in models can answer.
pub(crate) fn abilities() -> Sentence {
    let run = &Run::newest("retrieval");
    let tasks = [
        ("recall", 132),
        ("recall", 256),
        ("copy", 192),
        ("passkey", 192),
        ("needles", 192),
        ("variables", 192),
    ];
    let shares = MODELS.map(|model| {
        tasks.map(|(task, tokens)| run.accuracy(&Cell::new(model, "full", "1.0").task(task).context(tokens)))
    });
    let (least, _) = range(shares.as_flattened());
    Sentence::new(
        "The built-in models answer at least {} of the questions of every task of single words at up to {} tokens, except \
         `common-words`, which they cannot answer.",
        &[&percent(least), &TOKENS],
        [Check::new(least > 0.5, format!("{shares:?}"))],
    )
}

fn recall_cell(model: &str, policy: &str, budget: &str) -> Cell {
    Cell::new(model, policy, budget).task("recall").context(TOKENS)
}

fn full(run: &Run) -> Sentence {
    let found = MODELS.map(|model| percent(run.accuracy(&recall_cell(model, "full", "1.0"))));
    let (_, questions) = run.answers(&recall_cell(MODELS[0], "full", "1.0"));
    Sentence::new(
        "With the full cache, {} ({}) and {} ({}) of {} recall questions over {} tokens are answered.",
        &[&found[0], &MODELS[0], &found[1], &MODELS[1], &questions, &TOKENS],
        [],
    )
}

/// Returns the policies by the right answers to recall questions, most first, each with its share.
fn by_recall(run: &Run, model: &str) -> Vec<(String, f64)> {
    let accuracy = |policy: &str| (name(policy), run.accuracy(&recall_cell(model, policy, BUDGET)));
    let mut found: Vec<(String, f64)> = POLICIES.into_iter().map(accuracy).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

fn best_recall(run: &Run, model: &str) -> Sentence {
    let found = by_recall(run, model);
    let share = |policy: &str| percent(run.accuracy(&recall_cell(model, policy, BUDGET)));
    let rising: Vec<(String, f64)> = found.iter().rev().cloned().collect();
    Sentence::new(
        "At budget {} with {}, {} and {} answer most of them ({} and {}), random choice answers {} and \
         window attention {}.",
        &[
            &BUDGET,
            &model,
            &found[0].0,
            &found[1].0,
            &percent(found[0].1),
            &percent(found[1].1),
            &share("uniform+random"),
            &share("uniform+window-attention"),
        ],
        [Check::rising(&rising)],
    )
}

fn recall_table(run: &Run) -> String {
    let rows = POLICIES.map(|policy| {
        let mut row = vec![name(policy)];
        for model in MODELS {
            row.push(percent(run.accuracy(&recall_cell(model, policy, BUDGET))));
            row.push(nats(run.kl(&Cell::new(model, policy, BUDGET))));
        }
        row
    });
    table("policy, budget 0.25|tiny-mha: recall, 256 tokens|KL on text|tiny-gqa: recall|KL on text", &rows)
}

/// Returns the name of a policy in prose: that of its scorer if budgets are uniform.
fn name(policy: &str) -> String {
    format!("`{}`", policy.trim_start_matches("uniform+"))
}

fn window_on_text(run: &Run) -> Sentence {
    let lower = |policy: &str| {
        MODELS.map(|model| {
            let kl = |policy| run.kl(&Cell::new(model, policy, BUDGET));
            kl("uniform+window-attention") < kl(policy)
        })
    };
    let others = ["uniform+key-diff", "uniform+recency", "uniform+random"];
    let texts = others.map(lower);
    let answers = MODELS.map(|model| {
        let answered = |policy| run.accuracy(&recall_cell(model, policy, BUDGET));
        others.iter().all(|other| answered("uniform+window-attention") < answered(other))
    });
    Sentence::new(
        "So the order is not that of text: on text at this budget, window attention has a lower KL than \
         KeyDiff, recency and random choice, and here it answers fewer questions than all three.",
        &[],
        [Check::new(
            texts.as_flattened().iter().chain(&answers).all(|holds| *holds),
            format!("lower on text: {texts:?}, fewer answers: {answers:?}"),
        )],
    )
}

fn lost(run: &Run) -> Sentence {
    let shares = |policies: &[&str], budget: &str| {
        let cells = MODELS.iter().flat_map(|model| policies.iter().map(move |policy| (model, policy)));
        let cells = cells.flat_map(|(model, policy)| {
            LOST.map(|(task, _)| run.accuracy(&Cell::new(model, policy, budget).task(task).context(192)))
        });
        range(&cells.collect::<Vec<f64>>())
    };
    let ((_, most), (full, _), (oracle, _)) =
        (shares(&POLICIES, BUDGET), shares(&["full"], "1.0"), shares(&["uniform+oracle"], BUDGET));
    Sentence::new(
        "Of {}, every policy except the oracle answers at most {}; the full cache and the oracle answer at \
         least {} of each.",
        &[&list(LOST.map(|(_, name)| name)), &percent(most), &percent(full.min(oracle))],
        [Check::new(most < full.min(oracle) / 2.0, format!("at most {most}, full {full}, oracle {oracle}"))],
    )
}

fn aware(run: &Run) -> Sentence {
    let gains: Vec<(String, bool)> =
        MODELS.iter().flat_map(|model| AWARE.map(|task| gain(run, model, task))).collect();
    let described = |half: &[(String, bool)]| {
        list(AWARE.iter().zip(half).map(|(task, (gain, _))| format!("{gain} (`{task}`)")))
    };
    Sentence::new(
        "If window attention sees the question, its right answers at this budget change by {} percentage \
         points with {}, and by {} with {}; no interval is above zero.",
        &[&described(&gains[..AWARE.len()]), &MODELS[0], &described(&gains[AWARE.len()..]), &MODELS[1]],
        [Check::new(gains.iter().all(|(_, above)| !above), "an interval is above zero")],
    )
}

/// Returns the gain from seeing the question, in percentage points, and whether its interval is above zero.
/// Contexts are paired: both kinds of task draw the same.
fn gain(run: &Run, model: &str, task: &str) -> (String, bool) {
    let by_context = |task: &str| {
        let cell = Cell::new(model, "uniform+window-attention", BUDGET).task(task);
        let mut answers: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for row in run.rows_of(&cell) {
            let context: Vec<&str> = row.text[task.len() + 1..].split('-').take(2).collect();
            let of_context = answers.entry(context.join("-")).or_default();
            *of_context =
                (of_context.0 + row.correct.unwrap_or(0) as f64, of_context.1 + row.questions as f64);
        }
        answers
    };
    let (seen, unseen) = (by_context(&format!("{task}-aware")), by_context(task));
    let both = seen.iter().filter_map(|(context, own)| Some((own, unseen.get(context)?)));
    let gains: Vec<f64> = both.map(|(own, other)| own.0 / own.1 - other.0 / other.1).collect();
    assert!(gains.len() > 1, "{task}: contexts are not paired");
    let found = interval(&gains);
    (signed_points(found.mean), found.above())
}

/// Formats a share as percentage points with a sign, without decimals if it is zero.
fn signed_points(share: f64) -> String {
    if share == 0.0 { "0".to_owned() } else { signed(100.0 * share) }
}

fn common_words(run: &Run) -> Sentence {
    let found =
        MODELS.map(|model| run.answers(&Cell::new(model, "full", "1.0").task("common-words").context(192)));
    Sentence::new(
        "These models cannot answer `common-words` with any cache: with the full one they are right in {} \
         and {} of {} questions.",
        &[&found[0].0, &found[1].0, &found[0].1],
        [Check::new(found.iter().all(|(right, questions)| right * 4 < *questions), format!("{found:?}"))],
    )
}
