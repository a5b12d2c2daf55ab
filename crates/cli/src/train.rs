//! `bitkv train`: a small BitNet model from a folder of text.

use std::path::PathBuf;

use anyhow::Result;
use bitkv_bytes::limit;
use bitkv_train::{corpus::Corpus, export, ops::Precision, recipe::Recipe, resources, trainer::Trainer};
use serde_json::json;

use crate::{
    bars::BARS,
    interrupt::{self, Resumable},
    limit::LimitArguments,
    output, verbosity,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The recipe: a TOML file with the shape of the model and the stages of training.
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// Folder with train.txt and valid.txt; the model card also uses SOURCES.md.
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// Folder of the run, for checkpoints and the log. A run that it contains resumes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the tokenizer and the encoded corpus, which models with the same data can share [default:
    /// data in --out].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Train at most this number of further steps [default: all that the recipe has left]; 0 only evaluates
    /// and exports.
    #[arg(long)]
    steps: Option<usize>,
    /// Train without quantisation, as a control.
    #[arg(long)]
    full_precision: bool,
    /// Evaluate and write the packed model, its card and its log to this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "full_precision")]
    export: Option<PathBuf>,
    #[command(flatten)]
    limit: LimitArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (recipe, text) = Recipe::read(&arguments.recipe)?;
    if let Some(folder) = &arguments.export {
        export::check_folder(folder)?;
    }
    resources::check(&recipe, &arguments.out, arguments.limit.memory())?;
    let data = arguments.data.clone().unwrap_or_else(|| arguments.out.join("data"));
    let corpus = Corpus::open(&arguments.corpus, &data, recipe.shape.vocabulary)?;
    let precision = if arguments.full_precision { Precision::Full } else { Precision::Ternary };
    verbosity::detail(&format!("{} is trained on the corpus {}", recipe.name, arguments.corpus.display()));
    let mut trainer = Trainer::open(&recipe, &corpus, &arguments.out, precision)?;
    interrupt::catch()?;
    trainer.run(arguments.steps, &BARS).map_err(|error| match error {
        bitkv_train::Error::Cancelled => interrupt::interrupted(Resumable::Training, &arguments.out),
        error => error.into(),
    })?;
    if let Some(folder) = &arguments.export {
        let sources = arguments.corpus.join("SOURCES.md");
        let sources = bitkv_bytes::read_written_document(&sources, limit::WRITTEN).ok();
        export::export(folder, (&recipe, &text), &corpus, sources.as_deref(), &trainer, &arguments.out)?;
    }
    let p = trainer.position();
    if arguments.json {
        return output::json(&json!({
            "name": recipe.name, "step": p.step, "tokens": p.tokens, "seconds": p.seconds,
            "copy_accuracy": p.copy, "recall_accuracy": p.recall,
        }));
    }
    let steps = if p.step == 1 { "1 step".to_owned() } else { format!("{} steps", p.step) };
    output::text(&format!(
        "{}: {steps}, {} tokens, {:.0} s of training, running accuracy {:.2} on the copy task and {:.2} on the recall \
         task\n",
        recipe.name, p.tokens, p.seconds, p.copy, p.recall
    ))?;
    match &arguments.export {
        Some(folder) => output::text(&format!("Model: {}\n", folder.display())),
        None => Ok(()),
    }
}
