use std::path::PathBuf;

use anyhow::Result;
use bitkv_lab::{
    built_in,
    skeleton::{Options, run as compare},
    suite,
};
use bitkv_record::{Split, Texts};

use crate::{input, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A built-in name, a folder, a .gguf file, or `organisation/name[@revision]` on the hub; repeat for several.
    #[arg(long)]
    model: Vec<String>,
    /// Folder of .txt files to calibrate on instead of the suite's own.
    #[arg(long, value_name = "DIR")]
    calibration: Option<PathBuf>,
    /// Folder of .txt files to evaluate on instead of the suite's own.
    #[arg(long, value_name = "DIR")]
    evaluation: Option<PathBuf>,
    /// Where the run folder is written; an existing one is left alone and a number added.
    #[arg(long, value_name = "DIR", default_value = "runs/skeleton")]
    out: PathBuf,
    /// Tokens of each calibration text; entropy is reported at 64 and at all of them.
    #[arg(long, default_value_t = Options::default().calibration_tokens)]
    calibration_tokens: usize,
    /// Tokens of each evaluation text; all but the first are scored.
    #[arg(long, default_value_t = Options::default().evaluation_tokens)]
    evaluation_tokens: usize,
    /// Start of the bootstrap.
    #[arg(long, default_value_t = Options::default().seed)]
    seed: u64,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let models: Vec<String> = match &arguments.model[..] {
        [] => built_in().into_iter().map(str::to_owned).collect(),
        models => models.to_vec(),
    };
    let options = Options {
        calibration_tokens: arguments.calibration_tokens,
        evaluation_tokens: arguments.evaluation_tokens,
        seed: arguments.seed,
    };
    let outcome = compare(&models, &texts(arguments)?, &options, &arguments.out)?;
    if arguments.json {
        return output::json(&outcome.comparison);
    }
    output::text(&outcome.tables)?;
    output::text(&format!("\nReport: {}\n", outcome.folder.join("report.md").display()))
}

/// The suite's texts, or the user's in place of either kind.
fn texts(arguments: &Arguments) -> Result<Texts> {
    let own = |split, folder: &Option<PathBuf>| match folder {
        Some(folder) => input::texts(folder, split),
        None => Ok(suite::texts()?.only(split)),
    };
    let calibration = own(Split::Calibration, &arguments.calibration)?;
    Ok(calibration.join(own(Split::Evaluation, &arguments.evaluation)?)?)
}
