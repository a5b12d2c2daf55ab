//! The arguments that name a model and say how to read it, for every command.

use anyhow::{Result, bail, ensure};
use bitkv_bitnet::Arithmetic;
use bitkv_checkpoint::{Activation, Checkpoint, codec::i2s::Layout};
use bitkv_models::{LoadedModel, Loading, Shape, Source};
use clap::ValueEnum;

use crate::{bars::BARS, output, verbosity};

/// A model that must be given.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArguments {
    /// The model: a built-in name, a Hugging Face folder, a .gguf file, or `organisation/name[@revision]` on
    /// the hub.
    #[arg(long)]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
}

/// A model that may be missing because another argument replaces it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OptionalModel {
    /// The model: a built-in name, a Hugging Face folder, a .gguf file, or `organisation/name[@revision]` on
    /// the hub.
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    reading: ReadingArguments,
}

impl OptionalModel {
    /// Checks that the options that say how to read a model come with a model.
    ///
    /// # Errors
    /// When such an option has no effect. The message names it.
    pub(crate) fn check_reading(&self) -> Result<()> {
        let ReadingArguments { run_as, activation, i2s_layout, arithmetic } = &self.reading;
        let given = [
            ("--as", run_as.is_some()),
            ("--activation", activation.is_some()),
            ("--i2s-layout", i2s_layout.is_some()),
            ("--arithmetic", arithmetic.is_some()),
        ];
        let unused = given.into_iter().find(|(_, is_given)| *is_given && self.model.is_none());
        unused.map_or(Ok(()), |(option, _)| {
            bail!("{option} has no effect without a model: give --model too, or leave it out")
        })
    }

    /// Returns the arguments of the model; `None` if no model was given.
    pub(crate) fn model_arguments(&self) -> Option<ModelArguments> {
        self.model.clone().map(|model| ModelArguments { model, reading: self.reading.clone() })
    }
}

/// How to read a model.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReadingArguments {
    /// What the weights are, if the files do not say it.
    #[arg(long = "as", value_enum, value_name = "FORM", alias = "skeleton")]
    run_as: Option<RunAs>,
    /// Activation of the MLP [default: the one that the files name].
    #[arg(long, value_enum, value_name = "NAME")]
    activation: Option<ActivationName>,
    /// Byte layout of I2_S tensors in a .gguf file [default: the layout that the weights fit best].
    #[arg(long, value_enum, value_name = "LAYOUT")]
    i2s_layout: Option<I2sLayout>,
    /// Arithmetic of layers in full precision [default: f32, and bf16 in bench].
    #[arg(long, value_enum, value_name = "NUMBERS")]
    arithmetic: Option<ArithmeticName>,
}

impl ReadingArguments {
    /// Returns the options that were given as a part of a command, each after a space.
    pub(crate) fn options(&self) -> String {
        let ReadingArguments { run_as, activation, i2s_layout, arithmetic } = self;
        [
            option("--as", *run_as),
            option("--activation", *activation),
            option("--i2s-layout", *i2s_layout),
            option("--arithmetic", *arithmetic),
        ]
        .concat()
    }
}

/// Returns an option with its value after a space; an empty text if it was not given.
fn option<V: ValueEnum>(name: &str, value: Option<V>) -> String {
    let value = value.and_then(|value| value.to_possible_value());
    value.map_or(String::new(), |value| format!(" {name} {}", value.get_name()))
}

/// The arithmetic of layers in full precision.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ArithmeticName {
    /// Weights and activations are f32.
    F32,
    /// Weights and activations are rounded to bf16, and sums are f32.
    Bf16,
}

/// What weights are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RunAs {
    /// A plain Llama (float weights, no activation quantisation, SiLU, no sub-norms), to measure the error of
    /// running a BitNet as one. All output is marked.
    // Older scripts use the aliases of this value and of its option.
    #[value(alias = "llama")]
    PlainLlama,
    /// The full-precision masters of a BitNet whose files do not say so.
    Bitnet,
}

/// An activation of the MLP.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ActivationName {
    /// The square of max(x, 0), as in BitNet-b1.58-2B-4T.
    Relu2,
    /// x / (1 + exp(-x)), as in the 1bitLLM models and in Llamas.
    Silu,
}

impl ActivationName {
    fn activation(self) -> Activation {
        match self {
            ActivationName::Relu2 => Activation::Relu2,
            ActivationName::Silu => Activation::Silu,
        }
    }
}

/// A byte layout of I2_S tensors.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum I2sLayout {
    /// Blocks of 128 weights, as in the published file.
    X86,
    /// Blocks of 64 weights, as ARM builds have written since November 2025.
    Arm,
    /// Each byte holds one column of four rows.
    FourRow,
}

impl ModelArguments {
    pub(crate) fn source(&self) -> Result<Source> {
        self.reading.source(&self.model)
    }

    pub(crate) fn open(&self) -> Result<LoadedModel> {
        loaded(&self.source()?)
    }
}

/// Loads a model and prints the notes about its files. Those about its tokenizer follow when it is read.
pub(crate) fn loaded(source: &Source) -> Result<LoadedModel> {
    let loaded = source.open()?;
    output::notes(&loaded.notes);
    verbosity::detail(&loaded.description());
    Ok(loaded.with_listener(&BARS))
}

/// Opens a checkpoint and prints the notes about its files.
pub(crate) fn checkpoint(source: &Source) -> Result<Checkpoint> {
    let checkpoint = source.checkpoint()?;
    output::notes(checkpoint.notes());
    verbosity::detail(&source.description(checkpoint.config()));
    Ok(checkpoint)
}

impl ReadingArguments {
    /// Returns a known configuration, changed as the arguments say.
    pub(crate) fn shape(&self, known: Shape) -> Result<Shape> {
        ensure!(
            self.i2s_layout.is_none(),
            "only the configuration of {} is used, which has no I2_S tensors: leave out --i2s-layout",
            known.name
        );
        Ok(match self.run_as {
            None | Some(RunAs::Bitnet) => known,
            Some(RunAs::PlainLlama) => known.as_plain_llama(),
        })
    }

    /// Whether the arithmetic of layers in full precision was given.
    pub(crate) fn has_arithmetic(&self) -> bool {
        self.arithmetic.is_some()
    }

    /// Finds the model with this name.
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
        let (plain_llama, as_bitnet) =
            (self.run_as == Some(RunAs::PlainLlama), self.run_as == Some(RunAs::Bitnet));
        let activation = self.activation.map(ActivationName::activation);
        let arithmetic = match self.arithmetic {
            None | Some(ArithmeticName::F32) => Arithmetic::F32,
            Some(ArithmeticName::Bf16) => Arithmetic::Bf16,
        };
        Loading { plain_llama, i2s_layout, activation, as_bitnet, arithmetic }
    }
}
