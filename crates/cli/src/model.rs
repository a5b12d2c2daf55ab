//! Which model, and how to read it: the same arguments for every command.

use anyhow::{Result, ensure};
use bitkv_checkpoint::codec::i2s::Layout;
use bitkv_models::{LoadedModel, Loading, Shape, Source};
use clap::ValueEnum;

use crate::bars::BARS;

/// What every command takes to name a model.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArguments {
    /// A built-in name, a Hugging Face folder, a .gguf file, or `organisation/name[@revision]` on the hub.
    #[arg(long)]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
}

/// The same where another argument may stand in for a model.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OptionalModel {
    /// A built-in name, a Hugging Face folder, a .gguf file, or `organisation/name[@revision]` on the hub.
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    reading: ReadingArguments,
}

impl OptionalModel {
    pub(crate) fn given(&self) -> Option<ModelArguments> {
        self.model.clone().map(|model| ModelArguments { model, reading: self.reading.clone() })
    }
}

/// How a model is to be read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReadingArguments {
    /// Load the weights into a plain Llama (float weights, no activation quantisation, SiLU, no sub-norms) to measure that
    /// error; every output is marked.
    #[arg(long = "as", value_enum, value_name = "FORM", alias = "skeleton")]
    run_as: Option<RunAs>,
    /// Byte layout of I2_S tensors in a .gguf file; found by plausibility when it is not given.
    #[arg(long, value_enum, value_name = "LAYOUT")]
    i2s_layout: Option<I2sLayout>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RunAs {
    // Definitions and scripts of the first edition say `--skeleton llama`.
    #[value(alias = "llama")]
    PlainLlama,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum I2sLayout {
    /// Blocks of 128, as in the published file.
    X86,
    /// Blocks of 64, as ARM builds write since November 2025.
    Arm,
    /// Four rows a byte.
    FourRow,
}

impl ModelArguments {
    pub(crate) fn source(&self) -> Result<Source> {
        self.reading.source(&self.model)
    }

    pub(crate) fn open(&self) -> Result<LoadedModel> {
        Ok(self.source()?.open()?)
    }
}

impl ReadingArguments {
    /// A known configuration, to be read as the arguments say.
    pub(crate) fn shape(&self, known: Shape) -> Result<Shape> {
        ensure!(
            self.i2s_layout.is_none(),
            "only the configuration of {} is known, which has no I2_S tensors: leave out --i2s-layout",
            known.name
        );
        Ok(match self.run_as {
            None => known,
            Some(RunAs::PlainLlama) => known.as_plain_llama(),
        })
    }

    /// The model of this name, to be read as the arguments say.
    pub(crate) fn source(&self, model: &str) -> Result<Source> {
        Ok(Source::find_with(model, self.loading(), &BARS)?)
    }

    pub(crate) fn loading(&self) -> Loading {
        let layout = |layout| match layout {
            I2sLayout::X86 => Layout::X86,
            I2sLayout::Arm => Layout::Arm,
            I2sLayout::FourRow => Layout::FourRow,
        };
        let i2s_layout = self.i2s_layout.map(layout);
        Loading { plain_llama: self.run_as.is_some(), i2s_layout }
    }
}
