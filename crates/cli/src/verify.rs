//! `bitkv verify`: the published claims, as a run of the definition `experiments/verify.toml`.

use std::path::PathBuf;

use anyhow::Result;
use bitkv_evict::Registry;
use bitkv_lab::{
    grid::{self, Grid, GridOptions},
    verification::{Changes, definition},
};
use bitkv_record::free_name;
use bitkv_report::claims;
use serde_json::{Value, json};

use crate::{bars::BARS, limit::RunLimitArguments, measuring, model::ReadingArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model: a built-in name, a folder, a .gguf file, or `organisation/name[@revision]` on the hub.
    /// Repeat the option for several models [default: both built-in models].
    #[arg(long)]
    model: Vec<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Folder of .txt files to calibrate on [default: the texts of the suite].
    #[arg(long, value_name = "DIR")]
    calibration: Option<PathBuf>,
    /// Folder of .txt files to evaluate on [default: the texts of the suite].
    #[arg(long, value_name = "DIR")]
    evaluation: Option<PathBuf>,
    /// The run folder to write. An unfinished run there resumes; if a finished run is there, a number is
    /// added to the name.
    #[arg(long, value_name = "DIR", default_value = "runs/verify")]
    out: PathBuf,
    /// Number of tokens that are read of each calibration text [default: 512].
    #[arg(long)]
    calibration_tokens: Option<usize>,
    /// Number of tokens of each evaluation text that are in the cache when it is compressed [default: 896].
    #[arg(long)]
    context_tokens: Option<usize>,
    /// Number of tokens that are scored after the context [default: 127].
    #[arg(long)]
    scored_tokens: Option<usize>,
    /// Measure only this policy, and the full cache and random choice, which check the model. Repeat the
    /// option for several policies [default: all policies of the verification].
    #[arg(long, value_name = "SPEC")]
    policy: Vec<String>,
    /// Measure only at this budget, a fraction of the cache: 0.5, 0.2 or 0.1. Repeat the option for several
    /// budgets [default: all three].
    #[arg(long, value_name = "FRACTION")]
    budget: Vec<f64>,
    /// Number of generated contexts for the retrieval task `recall-together` [default: 20].
    #[arg(long)]
    recalls: Option<usize>,
    /// Seed of everything random [default: 20261121].
    #[arg(long)]
    seed: Option<u64>,
    /// Estimate the rows, the time and the memory, and run nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    limit: RunLimitArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    measuring::check_out(&arguments.out)?;
    let loading = arguments.reading.loading();
    let cell_seconds = arguments.limit.cell_seconds()?;
    let options = GridOptions { loading, progress: &BARS, cell_seconds, ..GridOptions::default() };
    let changes = Changes {
        models: arguments.model.clone(),
        loading,
        calibration: arguments.calibration.clone(),
        evaluation: arguments.evaluation.clone(),
        calibration_tokens: arguments.calibration_tokens,
        context_tokens: arguments.context_tokens,
        scored_tokens: arguments.scored_tokens,
        policies: arguments.policy.clone(),
        budgets: arguments.budget.clone(),
        recalls: arguments.recalls,
        seed: arguments.seed,
    };
    let grid = Grid::new(definition(&changes, &BARS)?, &options, registry)?;
    if arguments.dry_run {
        return measuring::dry_run(&grid, None, arguments.json);
    }
    grid::check_resources(&grid, &arguments.out, arguments.limit.memory())?;
    let finished = measuring::run(&grid, &free_name(&arguments.out)?)?;
    let run = finished.recorded.run();
    if arguments.json {
        let mut document = serde_json::to_value(claims::verification(&run))?;
        if let (Value::Object(document), Value::Object(more)) =
            (&mut document, json!({"rows": finished.rows(), "resumed": finished.resumed}))
        {
            document.extend(more);
        }
        output::json(&document)?;
        return finished.check_failures();
    }
    // The last lines are the verdicts.
    output::text(&format!("Report: {}\n\n", finished.folder.join("report.html").display()))?;
    output::report(&run)?;
    finished.check_failures()
}
