//! Policies that choose at random are drawn several times.

use std::path::Path;

use bitkv_lab::grid::{self, Grid, GridOptions};
use bitkv_record::{AskedBudget, Definition, GridRow, ScoredTask};

/// A model with random weights would do, but a retrieval task needs a tokenizer.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/first-gqa");

const POLICIES: &str = r#"["full", "uniform+recency", "uniform+random", "entropy-permuted+recency"]"#;

/// Returns the definition with other policies, draws and seeds.
fn definition(texts: &Path, policies: &str, draws: usize, seeds: &str) -> Definition {
    let text = format!(
        "analysis = \"Refuted if a draw is lost.\"\n[[experiment]]\nname = \"draws\"\nmodels = [{MODEL:?}]\n\
         texts = {texts:?}\ncontext = 64\nhorizon = 8\nbudgets = [1.0, 0.5]\npolicies = {policies}\nmetrics = [\"kl\"]\n\
         calibration = {{ tokens = 64 }}\ncontrols = false\nanalysis = \"No oracle is needed.\"\ndraws = {draws}\n\
         seeds = {seeds}\ntasks = [\"text\", {{ kind = \"recall\", tokens = 131, count = 4 }}]\n"
    );
    Definition::from_toml(&text, "draws.toml").unwrap()
}

/// Returns a folder with one text, and the grid of the definition.
fn grid(policies: &str, draws: usize, seeds: &str) -> Result<(tempfile::TempDir, Grid), bitkv_lab::Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("texts")).unwrap();
    let text = "The river was low that year, and the ferry waited at the bank. ".repeat(20);
    std::fs::write(folder.path().join("texts/river.txt"), text).unwrap();
    let definition = definition(&folder.path().join("texts"), policies, draws, seeds);
    let registry = bitkv_lab::registry().unwrap();
    Grid::new(definition, &GridOptions::default(), &registry).map(|grid| (folder, grid))
}

fn rows(draws: usize, seeds: &str) -> Vec<GridRow> {
    let (folder, grid) = grid(POLICIES, draws, seeds).unwrap();
    let run = grid::run(&grid, &folder.path().join("run"), &bitkv_progress::Silent).unwrap();
    assert_eq!(run.rows.len(), grid.rows());
    run.rows
}

/// Returns the seeds of the rows of random choice at a budget, on the text or on a generated context.
fn seeds(rows: &[GridRow], budget: f64, is_wanted: impl Fn(&GridRow) -> bool) -> Vec<u64> {
    let asked = AskedBudget::Fraction(budget);
    let own = rows.iter().filter(|row| row.policy.starts_with("uniform+random") && row.budget == asked);
    own.filter(|row| is_wanted(row)).map(|row| row.seed).collect()
}

#[test]
fn every_text_has_all_draws_and_every_generated_context_has_one() {
    let rows = rows(3, "[7]");
    let is_text = |row: &GridRow| row.task == ScoredTask::TEXT;
    assert_eq!(seeds(&rows, 0.5, is_text), [21, 22, 23]);
    assert_eq!(seeds(&rows, 1.0, is_text), [21], "a full budget leaves nothing to choose");
    for (context, seed) in [("recall-131-00", 21), ("recall-131-01", 22), ("recall-131-03", 21)] {
        let found = seeds(&rows, 0.5, |row| row.text == context);
        assert!(!found.is_empty() && found.iter().all(|found| *found == seed), "{context}: {found:?}");
        assert!(!seeds(&rows, 1.0, |row| row.text == context).is_empty(), "{context}");
    }
    // The draws differ, and policies that are not random have one row.
    let plans = |policy: &str| {
        let own = rows.iter().filter(|row| row.policy.starts_with(policy) && is_text(row));
        let half = own.filter(|row| row.budget == AskedBudget::Fraction(0.5));
        half.map(|row| row.plan_hash.clone().unwrap()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!([plans("uniform+random").len(), plans("uniform+recency").len()], [3, 1]);
}

#[test]
fn draws_follow_the_seed_and_one_draw_is_the_seed_itself() {
    let seeds_of_text = |draws, seed| seeds(&rows(draws, seed), 0.5, |row| row.task == ScoredTask::TEXT);
    assert_eq!(
        (seeds_of_text(1, "[7]"), seeds_of_text(2, "[7]"), seeds_of_text(2, "[8]")),
        (vec![7], vec![14, 15], vec![16, 17])
    );
    assert_eq!(seeds_of_text(2, "[0, 1]"), [0, 1, 2, 3]);
}

#[test]
fn draws_without_a_random_policy_are_refused() {
    let refused = |policies: &str| grid(policies, 4, "[0]").map(drop).unwrap_err().to_string();
    for policies in [r#"["full", "uniform+recency"]"#, r#"["full", "uniform+random{seed=3}"]"#] {
        let message = refused(policies);
        assert!(
            message.contains("draws = 4 has no effect") && message.contains("uniform+random"),
            "{message}"
        );
    }
}
