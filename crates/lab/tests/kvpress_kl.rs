//! At kvpress' compression ratio, a run has the KL and the entries that kvpress itself has in transformers.
//!
//! `testdata/kvpress-kl.json` has what kvpress measured. `experiments/peers/kl_fixture.py` writes it.

mod support;

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use bitkv_evict::{Budget, Policy};
use bitkv_lab::{
    context::Context,
    grid::{self, Grid, GridOptions},
    observation::Calibration,
};
use bitkv_models::LoadedModel;
use bitkv_record::{AskedBudget, Definition, GridRow, sha256_of_parts};
use serde::Deserialize;

/// The largest relative difference between the KL of a run and that of kvpress. Both evaluate the same model,
/// but sum in other orders, which changes a few int8 codes of the activations.
const TOLERANCE: f64 = 0.03;

/// The policy whose kept number is rounded by chunk, so that a ratio of 0.8 is not a budget of 0.2.
const CHUNKS: &str = "kvpress:chunkkv";

/// What kvpress measured at one ratio.
#[derive(Deserialize)]
struct Fixture {
    model: String,
    context: usize,
    horizon: usize,
    ratio: f64,
    cells: Vec<Cell>,
}

/// One press on one text. `kept_entries` is summed over layers and KV heads.
#[derive(Deserialize)]
struct Cell {
    text: String,
    press: String,
    kl_nats: f64,
    kept_entries: usize,
}

static FIXTURE: LazyLock<Fixture> =
    LazyLock::new(|| serde_json::from_str(include_str!("../testdata/kvpress-kl.json")).unwrap());

/// The rows of two presses, on the fixture's model, texts and ratio, and at a budget of 0.2.
static ROWS: LazyLock<BTreeMap<(String, String, String), GridRow>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    fs::create_dir(&texts).unwrap();
    for cell in &FIXTURE.cells {
        fs::copy(evaluation_text(&cell.text), texts.join(format!("{}.txt", cell.text))).unwrap();
    }
    let registry = bitkv_lab::registry().unwrap();
    let grid = Grid::new(definition(&texts), &GridOptions::default(), &registry).unwrap();
    let run = grid::run(&grid, &folder.path().join("run"), &bitkv_progress::Silent).unwrap();
    run.rows
        .into_iter()
        .map(|row| ((row.written.clone(), row.budget.to_string(), row.text.clone()), row))
        .collect()
});

fn definition(texts: &Path) -> Definition {
    let Fixture { model, context, horizon, ratio, .. } = &*FIXTURE;
    let model = support::frozen(model);
    let text = format!(
        "analysis = \"Refuted if the KL is not that of kvpress.\"\n[[experiment]]\nname = \"kvpress-kl\"\n\
         models = [{model:?}]\ntexts = {texts:?}\ncontext = {context}\nhorizon = {horizon}\n\
         budgets = [1.0, 0.2, \"ratio {ratio}\"]\npolicies = [\"kvpress:lagkv\", \"{CHUNKS}\"]\n\
         metrics = [\"kl\"]\ncontrols = false\nanalysis = \"The fixture has no control.\"\n"
    );
    Definition::from_toml(&text, "kvpress-kl.toml").unwrap()
}

fn evaluation_text(name: &str) -> String {
    format!("{}/../../calibration/texts/evaluation/{name}.txt", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the row of a policy on a text.
fn row(policy: &str, budget: AskedBudget, text: &str) -> &'static GridRow {
    &ROWS[&(policy.to_owned(), budget.to_string(), text.to_owned())]
}

fn ratio() -> AskedBudget {
    AskedBudget::ratio(FIXTURE.ratio).unwrap()
}

/// Returns the fixture's cells of a press, one for each text.
fn cells(press: &str) -> Vec<&'static Cell> {
    FIXTURE.cells.iter().filter(|cell| cell.press == press).collect()
}

#[test]
fn the_kl_and_the_entries_are_those_of_kvpress() {
    for cell in [cells("lagkv"), cells("chunkkv")].concat() {
        let row = row(&format!("kvpress:{}", cell.press), ratio(), &cell.text);
        let difference = row.kl_nats.unwrap() / cell.kl_nats - 1.0;
        let place = format!("{} on {}", cell.press, cell.text);
        println!("{place}: KL {:+.2} % of kvpress'", 100.0 * difference);
        assert!(difference.abs() < TOLERANCE, "{place}: {:?} and {}", row.kl_nats, cell.kl_nats);
        assert_eq!(row.kept_entries, Some(cell.kept_entries), "{place}");
    }
    assert_eq!([cells("lagkv").len(), cells("chunkkv").len()], [3, 3]);
}

/// Returns the hash of the positions that `plan --ratio` keeps, as rows have it.
fn hash_of_plan(loaded: &LoadedModel, policy: &Policy, text: &str) -> String {
    let text = fs::read_to_string(evaluation_text(text)).unwrap();
    let tokens = loaded.tokenizer().unwrap().encode(&text).unwrap();
    let context =
        Context::observe(loaded, &tokens[..FIXTURE.context], &policy.needs(), &Calibration::default());
    let budget = Budget::ratio(FIXTURE.ratio).unwrap();
    let plan = policy.plan(&context.unwrap().observation().view(), budget).unwrap();
    let positions = |kept: &[u32]| kept.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    sha256_of_parts(plan.kept_by_head().map(positions))[..16].to_owned()
}

#[test]
fn a_run_keeps_the_positions_of_a_plan_at_the_same_ratio() {
    let loaded = LoadedModel::open(&support::frozen(&FIXTURE.model)).unwrap();
    let policy = bitkv_lab::registry().unwrap().policy(CHUNKS).unwrap();
    // At a budget of 0.2 every KV head keeps one more chunk of 20 tokens.
    let chunk = 20 * bitkv_lab::observation::shape(&loaded, 1).all_kv_heads();
    for cell in cells("chunkkv") {
        let by_ratio = row(CHUNKS, ratio(), &cell.text);
        assert_eq!(by_ratio.plan_hash, Some(hash_of_plan(&loaded, &policy, &cell.text)), "{}", cell.text);
        let by_budget = row(CHUNKS, AskedBudget::fraction(0.2).unwrap(), &cell.text);
        assert_ne!(by_budget.plan_hash, by_ratio.plan_hash, "{}", cell.text);
        assert_eq!(by_budget.kept_entries, by_ratio.kept_entries.map(|kept| kept + chunk), "{}", cell.text);
    }
}
