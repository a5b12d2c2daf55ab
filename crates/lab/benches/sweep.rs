//! Compares the time of a sweep with the time of the forward passes that no sweep can avoid. The sweep
//! measures 15 policies at 6 budgets on one text. The forward passes are one prefill of the text and, for
//! every cell, the continuation through the compressed cache with its logits, in batches of the same size as
//! those of a sweep.
//!
//! There are two models: the trained `first-gqa` of `testdata/models`, and random weights of the shape of
//! BitNet-b1.58-2B-4T with 4 of its 30 layers. There are two grids: the suite's own methods, and the presses
//! of kvpress. The parts are timed in turns. The figures are those of the fastest turn of each part, which
//! other work on the machine disturbs least.
//!
//! `cargo bench -p bitkv-lab --bench sweep -- [tiny|2b-4t] [own|kvpress] [TURNS]`

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use bitkv_bitnet::{Cache, KvCache, Sequence};
use bitkv_checkpoint::{Config, write_random};
use bitkv_evict::{Budget, Plan, Planner};
use bitkv_lab::{
    context::Context,
    grid::{self, Cell, Grid, Job, Scored},
    observation::Calibration,
};
use bitkv_record::{AskedBudget, Definition};

/// The suite's own methods. Methods that need calibration or a second pass are left out, because these cost
/// time only once per model or once per text.
const OWN: &str = r#"
analysis = "A sweep costs little beyond its passes; refuted if it takes more than 1.1 times as long as they do."

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

/// The presses of kvpress, as `experiments/peers` compares them.
const PRESSES: &str = include_str!("../../../experiments/peers/kvpress-grid.toml");

/// The configuration of BitNet-b1.58-2B-4T with 4 layers.
const FOUR_LAYERS: &str = r#"{"architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 128256,
    "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 4, "num_attention_heads": 20,
    "num_key_value_heads": 5, "hidden_act": "relu2", "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "max_position_embeddings": 4096, "tie_word_embeddings": true}"#;
/// The tokenizer of the random model. Any tokenizer with fewer tokens than the model will do, because weights
/// do not matter and texts matter little.
const TOKENIZER: &str = include_str!("../../../testdata/models/first-gqa/tokenizer.json");

/// The folder of the trained model, which never changes.
const TRAINED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/first-gqa");

/// The most bytes of logits that a sweep makes at a time.
const MAX_LOGITS_BYTES: usize = 256 << 20;
/// The most cells of a batch.
const MAX_CELLS: usize = 16;

/// The seconds of every turn of every part.
#[derive(Default)]
struct Seconds(BTreeMap<&'static str, Vec<f64>>);

impl Seconds {
    fn time<T>(&mut self, part: &'static str, run: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = run();
        self.0.entry(part).or_default().push(started.elapsed().as_secs_f64());
        result
    }

    fn least(&self, part: &str) -> f64 {
        self.0.get(part).into_iter().flatten().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Returns a grid with one text, on the model in the folder `model` or else on the trained model.
fn one_text(definition: &str, model: Option<&Path>) -> Grid {
    let folder = model.unwrap_or(Path::new(TRAINED)).display().to_string();
    let mut definition = definition.replace("\"tiny-gqa\"", &format!("{folder:?}"));
    if model.is_some() {
        definition =
            definition.replace("context = 896", "context = 1024").replace("horizon = 127", "horizon = 128");
    }
    let definition = Definition::from_toml(&definition, "sweep.toml").expect("the definition is valid");
    let mut grid =
        Grid::new(definition, &grid::GridOptions::default(), &bitkv_lab::registry().expect("names differ"))
            .expect("the model opens");
    grid.jobs[0].units.truncate(1);
    grid
}

/// Plans every cell of a context.
fn plans(job: &Job, context: &Context<'_>) -> Vec<Plan> {
    let view = context.observation().view();
    let planner = Planner::new(&view);
    let plan = |cell: &Cell| {
        let AskedBudget::Fraction(part) = cell.budget else { panic!("budgets of this grid are fractions") };
        let budget = Budget::fraction(part).expect("the fraction is valid");
        planner.plan(&job.policies[cell.policy].policy, budget).expect("everything is probed")
    };
    job.cells.iter().map(plan).collect()
}

/// Reads the continuation through every cache and computes its logits.
fn continuations(job: &Job, mut caches: Vec<Cache>) {
    let Scored::Text { continuation, .. } = &job.units[0].scored else { panic!("a text is scored") };
    let model = &job.loaded.model;
    let cell_bytes = continuation.len() * model.config().vocab_size * size_of::<f32>();
    for batch in caches.chunks_mut((MAX_LOGITS_BYTES / cell_bytes).clamp(1, MAX_CELLS)) {
        let mut sequences: Vec<Sequence<'_>> = batch
            .iter_mut()
            .map(|cache| Sequence { tokens: continuation, cache: cache as &mut dyn KvCache })
            .collect();
        let hidden = model.forward_batch(&mut sequences).expect("the tokens are valid");
        std::hint::black_box(model.logits(&hidden).expect("the width fits"));
    }
}

fn sweep(name: &str, grid: &Grid, turns: usize) {
    let job = &grid.jobs[0];
    let (unit, model) = (&job.units[0], &job.loaded.model);
    let context = Context::observe(&job.loaded, &unit.context, &job.needs, &Calibration::new())
        .expect("the tokens are valid");
    let mut seconds = Seconds::default();
    for _ in 0..turns {
        seconds.time("prefill", || {
            model.forward(&unit.context, &mut model.new_cache(), None).expect("the tokens are valid")
        });
        let plans = seconds.time("planning", || plans(job, &context));
        let compress = |plan| context.compressed_cache(plan).expect("the plan fits this cache");
        let caches = seconds.time("eviction", || plans.iter().map(compress).collect());
        seconds.time("continuations", || continuations(job, caches));
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        seconds.time("sweep", || {
            let measured =
                grid::run(grid, &folder.path().join("run"), &bitkv_progress::Silent).expect("the grid runs");
            measured.finish(&[]).expect("the run can be moved")
        });
    }
    let (passes, sweep) = (seconds.least("prefill") + seconds.least("continuations"), seconds.least("sweep"));
    let Scored::Text { continuation, .. } = &unit.scored else { panic!("a text is scored") };
    let read = job.cells.len() * continuation.len();
    println!(
        "{name}: {sweep:.2} s, {:.3} times the {passes:.2} s of a prefill and {} continuations",
        sweep / passes,
        job.cells.len()
    );
    println!(
        "  planning {:.2} %, eviction {:.2} %; prefill {:.0} tokens/s, continuations with logits {:.0} tokens/s",
        100.0 * seconds.least("planning") / sweep,
        100.0 * seconds.least("eviction") / sweep,
        unit.context.len() as f64 / seconds.least("prefill"),
        read as f64 / seconds.least("continuations"),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` runs every target once, without `--bench`.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let selected = |choices: [&'static str; 2]| {
        let named = choices.iter().any(|choice| arguments.iter().any(|argument| argument == choice));
        choices
            .into_iter()
            .filter(|choice| !named || arguments.iter().any(|a| a == choice))
            .collect::<Vec<_>>()
    };
    let turns = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let large = folder.path().join("2b-4t-of-4-layers");
    for shape in selected(["tiny", "2b-4t"]) {
        if shape == "2b-4t" {
            let config = Config::from_json(FOUR_LAYERS, "config.json").expect("the configuration is valid");
            write_random(&config, 1, &large, &bitkv_progress::Silent).expect("the folder can be written");
            fs::write(large.join("tokenizer.json"), TOKENIZER).expect("the folder can be written");
        }
        for grid in selected(["own", "kvpress"]) {
            let definition = if grid == "own" { OWN } else { PRESSES };
            let one_text = one_text(definition, (shape == "2b-4t").then_some(large.as_path()));
            sweep(&format!("{shape} {grid}"), &one_text, turns);
        }
    }
}
