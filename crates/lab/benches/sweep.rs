//! What a sweep costs beside what no sweep can do without: 15 policies by 6 budgets on a few texts of a built-in model,
//! against one prefill a text and, for every cell, the continuation through the cut cache. Planning is timed alone too.
//!
//! Prefill, continuations and planning are timed on one of the texts, which all have the same number of tokens. The last
//! line of each group gives the sweep as a multiple of its passes and planning as a part of the sweep, by medians.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bitkv_bitnet::Cache;
use bitkv_evict::{Budget, Plan, Planner};
use bitkv_lab::{
    context::Context,
    evidence::Numbers,
    grid::{self, Cell, Grid, Job, Scored, Unit},
};
use bitkv_record::{AskedBudget, Definition};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};

/// The suite's own methods; those that read a calibration or a second pass are left out, as these are paid for once a
/// model or once a text.
const OWN: &str = r#"
analysis = "A sweep costs little beyond its passes; refuted if it takes more than 1.3 times as long as they do."

[[experiment]]
name = "own"
analysis = "Time only: nothing is judged."
controls = false
models = ["tiny-gqa"]
texts = "evaluation"
context = 896
horizon = 127
budgets = [1.0, 0.5, 0.25, 0.2, 0.1, 0.05]
policies = [
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+tova",
    "uniform+window-attention",
    "uniform+critical",
    "uniform+defensive",
    "uniform+expected-attention",
    "uniform+key-norm",
    "uniform+key-diff",
    "uniform+lag",
    "uniform+r-kv",
    "uniform+random",
    "adaptive+window-attention",
    "pyramid+window-attention",
    "global+defensive",
]
metrics = ["kl"]
"#;

/// kvpress' presses, as `experiments/peers` compares them.
const PRESSES: &str = include_str!("../../../experiments/peers/kvpress-grid.toml");

/// Parts of a sweep, each timed by itself.
struct Parts<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    /// Of each run of each part.
    seconds: BTreeMap<&'static str, Vec<f64>>,
}

impl Parts<'_> {
    /// Times `run` on what `prepare` makes, which is not timed.
    fn time<T>(&mut self, part: &'static str, mut prepare: impl FnMut() -> T, mut run: impl FnMut(T)) {
        let seconds = self.seconds.entry(part).or_default();
        let mut one = || {
            let prepared = prepare();
            let started = Instant::now();
            run(prepared);
            let elapsed = started.elapsed();
            seconds.push(elapsed.as_secs_f64());
            elapsed
        };
        self.group.bench_function(part, |b| b.iter_custom(|times| (0..times).map(|_| one()).sum()));
    }

    fn median(&self, part: &str) -> f64 {
        self.seconds.get(part).and_then(|seconds| bitkv_stats::median(seconds)).unwrap_or(f64::NAN)
    }
}

/// Texts of the sweep: several, because a run reads as many at once as it has threads.
const TEXTS: usize = 4;

/// A grid of a few texts.
fn few_texts(definition: &str, name: &str) -> Grid {
    let definition = Definition::from_toml(definition, name).expect("the definition is valid");
    let mut grid = Grid::of(definition, &[]).expect("the model is built in");
    grid.jobs[0].units.truncate(TEXTS);
    grid
}

/// Plans every cell of a text that was read.
fn plans(job: &Job, context: &Context<'_>) -> Vec<Plan> {
    let view = context.evidence().view();
    let planner = Planner::new(&view);
    let plan = |cell: &Cell| {
        let AskedBudget::Fraction(part) = cell.budget else { panic!("budgets of this grid are fractions") };
        let budget = Budget::fraction(part).expect("the fraction is valid");
        planner.plan(&job.policies[cell.policy].policy, budget).expect("everything is observed")
    };
    job.cells.iter().map(plan).collect()
}

/// Reads the continuation through every cache and computes its logits.
fn continuations(job: &Job, unit: &Unit, caches: Vec<Cache>) {
    let Scored::Text { continuation, .. } = &unit.scored else { panic!("a text is scored") };
    for mut cache in caches {
        let output = job.subject.model.forward(continuation, &mut cache, None).expect("the tokens are valid");
        let logits = job.subject.model.logits(&output.hidden).expect("the width fits");
        std::hint::black_box(logits);
    }
}

fn parts(criterion: &mut Criterion, name: &str, grid: &Grid) {
    let job = &grid.jobs[0];
    let (unit, model) = (&job.units[0], &job.subject.model);
    let context = Context::observe(&job.subject, &unit.context, &job.needs, &Numbers::new())
        .expect("the tokens are valid");
    let plans_made = plans(job, &context);
    let cut = |plan| context.cut(plan).expect("the plan is of this cache");

    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    let mut parts = Parts { group, seconds: BTreeMap::new() };
    parts.time(
        "prefill",
        || model.new_cache(),
        |mut cache| {
            model.forward(&unit.context, &mut cache, None).expect("the tokens are valid");
        },
    );
    let caches = || plans_made.iter().map(cut).collect();
    parts.time("continuations", caches, |caches| continuations(job, unit, caches));
    parts.time("planning", || (), |()| drop(plans(job, &context)));
    let folder = || tempfile::tempdir().expect("a temporary folder can be made");
    parts.time("sweep", folder, |folder| {
        grid::run(grid, &folder.path().join("run")).expect("the grid runs");
    });
    let a_text = parts.median("sweep") / TEXTS as f64;
    println!(
        "{name}: a text takes {:.2} times one prefill and {} continuations, planning {:.1} % of it",
        a_text / (parts.median("prefill") + parts.median("continuations")),
        job.cells.len(),
        100.0 * parts.median("planning") / a_text,
    );
    parts.group.finish();
}

fn sweep(criterion: &mut Criterion) {
    parts(criterion, "own", &few_texts(OWN, "own.toml"));
    parts(criterion, "kvpress", &few_texts(PRESSES, "kvpress-grid.toml"));
}

criterion_group!(benches, sweep);
criterion_main!(benches);
