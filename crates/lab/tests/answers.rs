//! Rows of retrieval tasks say which answers are right and what an eviction leaves of them in the context.

mod support;

use bitkv_lab::grid::{self, Grid, GridOptions};
use bitkv_record::{AskedBudget, Definition, GridRow, TaskKind};
use support::frozen;

/// Returns the rows of policies without protected tokens on tasks whose first context has its answer at the
/// start, and on `common-words`, whose answers have no position.
fn rows() -> Vec<GridRow> {
    let folder = tempfile::tempdir().unwrap();
    let definition = format!(
        "analysis = \"Refuted if an evicted answer counts as kept.\"\n[[experiment]]\nname = \"answers\"\n\
         models = [{:?}]\ntexts = \"evaluation\"\ncontext = 64\nhorizon = 16\nbudgets = [1.0, 0.2]\npolicies = [\"full\", \"uniform+oracle\", \
         \"uniform+recency{{sinks=0}}\", \"uniform+random{{sinks=0,recent=0}}\"]\nwhen = [\"once\", \"chunked-64\"]\ntasks = [\
         {{ kind = \"passkey\", tokens = 132, count = 1 }}, {{ kind = \"recall\", tokens = 132, count = 1 }}, \
         {{ kind = \"passkey\", tokens = 132, count = 1, aware = true }}, \
         {{ kind = \"common-words\", tokens = 132, count = 1 }}]\n",
        frozen("first-gqa")
    );
    let definition = Definition::from_toml(&definition, "answers.toml").unwrap();
    let grid = Grid::new(definition, &GridOptions::default(), &bitkv_lab::registry().unwrap()).unwrap();
    let rows = grid::run(&grid, &folder.path().join("run"), &bitkv_progress::Silent).unwrap().rows;
    rows.into_iter().filter(|row| row.error.is_none()).collect()
}

#[test]
fn rows_say_what_an_eviction_leaves_of_the_answers() {
    let rows = rows();
    for row in &rows {
        let answers = row.answers.as_ref().unwrap();
        assert_eq!(answers.len(), row.questions);
        assert_eq!(Some(answers.matches('1').count()), row.correct);
        let found = (row.answer_evicted, row.answer_heads);
        if row.task.kind == TaskKind::CommonWords {
            assert_eq!(found, (None, None), "these answers have no position");
        } else if row.budget == AskedBudget::FULL {
            assert_eq!(found, (Some(0.0), Some(1.0)), "{row:?}");
        } else if row.policy.contains("recency") && row.task.kind == TaskKind::Passkey {
            assert_eq!(found, (Some(1.0), Some(0.0)), "the answer is at the start and nothing there is kept");
            assert_eq!(row.correct, Some(0));
        } else {
            let (evicted, share) = (found.0.unwrap(), found.1.unwrap());
            assert!(evicted + share <= 1.0, "a token that is evicted from all heads is in none: {row:?}");
        }
    }
    assert!(rows.iter().any(|row| row.policy.contains("recency") && row.axes.when.prefill_chunk.is_some()));
    let random = |row: &&GridRow| row.policy.contains("random") && row.budget != AskedBudget::FULL;
    let kept: Vec<f64> = rows.iter().filter(random).filter_map(|row| row.answer_heads).collect();
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    assert!(
        (mean - 0.2).abs() < 0.1,
        "random choice keeps a token with the probability of the budget: {mean}"
    );
}
