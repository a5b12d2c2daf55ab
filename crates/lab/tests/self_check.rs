//! A budget of 1 must change nothing for any policy. Every run checks this too.

mod support;

use bitkv_bitnet::Probes;
use bitkv_lab::{
    context::Context,
    grid::{self, Grid, GridOptions},
    tasks::{Words, draw},
};
use bitkv_models::suite;
use bitkv_record::{AskedBudget, Definition, GridRow, PolicyRole, ScoredTask, TaskKind};
use support::{calibration, loaded_models, needs, policies};

const CONTEXT: usize = 80;
const SCORED: usize = 24;

/// Returns the rows of every policy of `verify` on one text and one retrieval context, at a budget of 1 and
/// of 0.1.
fn rows(model: &str) -> Vec<GridRow> {
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    let suite = suite::texts().unwrap();
    std::fs::write(texts.join("text.txt"), &suite.evaluation().next().unwrap().content).unwrap();
    let policies: Vec<String> = policies().iter().map(|policy| format!("{:?}", policy.spec())).collect();
    let definition = format!(
        "analysis = \"Refuted if a whole budget changes something.\"\n[[experiment]]\nname = \"check\"\n\
         models = [{model:?}]\ntexts = {texts:?}\ncontext = {CONTEXT}\nhorizon = {SCORED}\nbudgets = [1.0, 0.1]\n\
         policies = [{}]\nmetrics = [\"kl\"]\ncalibration = {{ tokens = 64 }}\n\
         tasks = [\"text\", {{ kind = \"recall-together\", tokens = 64, count = 1 }}]\n",
        policies.join(", ")
    );
    let definition = Definition::from_toml(&definition, "check.toml").unwrap();
    let grid = Grid::new(definition, &GridOptions::default(), &bitkv_lab::registry().unwrap()).unwrap();
    grid::run(&grid, &folder.path().join("run"), &bitkv_progress::Silent).unwrap().rows
}

/// Returns the rows of one task that kept everything.
fn full_rows(rows: &[GridRow], task: TaskKind) -> Vec<&GridRow> {
    let task = ScoredTask { kind: task, aware: false };
    let has_full_budget = |row: &&GridRow| row.budget == AskedBudget::FULL && row.task == task;
    let full: Vec<&GridRow> = rows
        .iter()
        .filter(|row| has_full_budget(row) && (row.conserving || row.role == PolicyRole::Full))
        .collect();
    assert_eq!(full.len(), policies().len() - 3, "all policies except the three published rules");
    full
}

#[test]
fn a_budget_of_1_changes_nothing_and_a_budget_of_a_tenth_does() {
    for loaded in loaded_models() {
        let rows = rows(loaded.source().asked());
        let texts = full_rows(&rows, TaskKind::Text);
        for row in &texts {
            assert_eq!((row.kl_nats, row.agreement), (Some(0.0), Some(1.0)), "{}", row.policy);
            let quantiles = [row.kl_median, row.kl_p90, row.kl_p95, row.kl_p99, row.kl_p999, row.kl_max];
            assert_eq!(quantiles, [Some(0.0); 6], "{}", row.policy);
            assert_eq!((row.dp_mean, row.dp_rms), (Some(0.0), Some(0.0)), "{}", row.policy);
            assert_eq!(row.nll_nats, texts[0].nll_nats, "{}", row.policy);
            assert_eq!((row.kept_entries, row.cache_bytes), (row.full_entries, row.full_bytes));
        }
        let answers = full_rows(&rows, TaskKind::RecallTogether);
        for row in &answers {
            assert_eq!((row.correct, row.questions), (answers[0].correct, 20), "{}", row.policy);
            assert_eq!(row.answers, answers[0].answers, "{}", row.policy);
            assert_eq!((row.answer_evicted, row.answer_heads), (Some(0.0), Some(1.0)), "{}", row.policy);
        }
        // The same cells at a budget of a tenth are not zero, which shows that the check above can fail.
        let tenth = rows.iter().filter(|row| row.budget != AskedBudget::FULL && row.conserving);
        for row in tenth {
            assert!(
                row.kl_nats.is_none_or(|kl| kl > 0.0),
                "{} evicts nine tenths and changes nothing",
                row.policy
            );
            assert!(row.cache_bytes.unwrap() * 9 < row.full_bytes.unwrap(), "{}", row.policy);
            let tail = [row.kl_median, row.kl_p90, row.kl_p95, row.kl_p99, row.kl_p999, row.kl_max];
            assert!(tail.is_sorted() && tail[5].is_none_or(|max| max > row.kl_nats.unwrap()), "{tail:?}");
            assert!(row.dp_rms.is_none_or(|rms| rms > 0.0 && rms >= row.dp_mean.unwrap().abs()));
            assert!(row.answer_heads.is_none_or(|share| share < 1.0), "{}", row.policy);
        }
    }
}

/// At a budget of 1 every logit is the same, not only the answers.
#[test]
fn a_full_plan_gives_the_logits_of_the_full_cache() {
    for loaded in loaded_models() {
        let words = Words::from_model(&loaded).unwrap();
        let drawn = draw(TaskKind::RecallTogether, &words, 64, 0, 3).unwrap();
        let (policies, asked) = (policies(), drawn.together(words.newline()));
        let (needs, calibration) = (needs(&policies), calibration(&loaded));
        let context =
            Context::read(&loaded, &drawn.context, &asked, &needs, &calibration, &Probes::default()).unwrap();
        for policy in policies.iter().filter(|policy| policy.conserves()) {
            let plan = policy.plan(&context.observation().view(), bitkv_evict::Budget::FULL).unwrap();
            assert_eq!(&context.continue_with(&plan).unwrap().logits, context.reference(), "{policy}");
        }
    }
}
