use std::path::PathBuf;

use anyhow::Result;
use bitkv_lab::{
    Source, built_in, suite,
    verify::{Options, verify},
};
use bitkv_record::{Split, Texts};

use crate::{input, model::ReadingArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A built-in name, a folder, a .gguf file, or `organisation/name[@revision]` on the hub; repeat for several.
    #[arg(long)]
    model: Vec<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Folder of .txt files to calibrate on instead of the suite's own.
    #[arg(long, value_name = "DIR")]
    calibration: Option<PathBuf>,
    /// Folder of .txt files to evaluate on instead of the suite's own.
    #[arg(long, value_name = "DIR")]
    evaluation: Option<PathBuf>,
    /// Where the run folder is written; an existing one is left alone and a number added.
    #[arg(long, value_name = "DIR", default_value = "runs/verify")]
    out: PathBuf,
    /// Tokens of each calibration text.
    #[arg(long, default_value_t = Options::default().calibration_tokens)]
    calibration_tokens: usize,
    /// Tokens of each evaluation text in the cache when it is cut.
    #[arg(long, default_value_t = Options::default().context_tokens)]
    context_tokens: usize,
    /// Tokens scored after the cut.
    #[arg(long, default_value_t = Options::default().scored_tokens)]
    scored_tokens: usize,
    /// Retrieval contexts.
    #[arg(long, default_value_t = Options::default().recalls)]
    recalls: usize,
    /// Start of everything random.
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
    let sources: Vec<Source> =
        models.iter().map(|model| arguments.reading.source(model)).collect::<Result<_>>()?;
    let options = Options {
        calibration_tokens: arguments.calibration_tokens,
        context_tokens: arguments.context_tokens,
        scored_tokens: arguments.scored_tokens,
        recalls: arguments.recalls,
        seed: arguments.seed,
    };
    let outcome = verify(&sources, &texts(arguments)?, &options, &arguments.out)?;
    if arguments.json {
        return output::json(&outcome.verification);
    }
    output::text(&outcome.tables)?;
    output::text(&format!("\nReport: {}\n", outcome.folder.join("report.html").display()))
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
