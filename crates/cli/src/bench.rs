//! `bitkv bench`: tokens per second of a model, beside what the machine can do.

mod arguments;
mod table;

use anyhow::{Result, bail, ensure};
use bitkv_bench::{NamedModel, Request, measure};
use bitkv_bitnet::{Arithmetic, Checkpoint, Config, Model};
use bitkv_bytes::MemoryLimit;

use crate::{bars::BARS, model, output, verbosity};

pub(crate) use arguments::Arguments;

/// A model with its name, and whether its weights are random.
struct BenchModel {
    name: String,
    random: bool,
    model: Model,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    bitkv_kernels::check_isa()?;
    let request = arguments.request()?;
    let BenchModel { name, random, model } = load(arguments, &request)?;
    let model = model.with_lm_head(arguments.lm_head.precision())?;
    let document = measure(&NamedModel { name: &name, random, model: &model }, &request, &BARS)?;
    match arguments.json {
        true => output::json(&document),
        false => output::tables(&table::tables(&document)),
    }
}

/// Opens the model, or makes one with random weights.
fn load(arguments: &Arguments, request: &Request) -> Result<BenchModel> {
    arguments.model.check_reading()?;
    match (&arguments.shape, arguments.model.model_arguments()) {
        (Some(name), None) => {
            let config = random_config(arguments, request, name)?;
            // The request is checked before hundreds of megabytes of weights are made.
            request.check(&config)?;
            MemoryLimit::default().check(format!("the model {name}"), request.memory_bytes(&config))?;
            let layers = config.num_hidden_layers;
            verbosity::detail(&format!("{name} has {layers} layers with random ternary weights in memory"));
            let model = Model::load(&Checkpoint::random(&config, arguments.seed))?;
            Ok(BenchModel { name: name.clone(), random: true, model })
        }
        (None, Some(model)) => {
            ensure!(
                arguments.layers.is_none(),
                "--layers works only with random weights: leave it out, or give a --shape instead of a --model"
            );
            let source = model.source()?;
            let checkpoint = model::checkpoint(&source)?;
            ensure!(
                !checkpoint.config().plain_llama,
                "bench measures ternary products, but a plain Llama multiplies floats: leave out --as"
            );
            request.check(checkpoint.config())?;
            let needed = request.memory_bytes(checkpoint.config());
            MemoryLimit::default().check(format!("the model {}", source.name()), needed)?;
            let arithmetic = if model.reading.has_arithmetic() {
                model.reading.loading().arithmetic
            } else {
                Arithmetic::Bf16
            };
            let model = Model::load(&checkpoint)?.with_arithmetic(arithmetic);
            Ok(BenchModel { name: source.name(), random: false, model })
        }
        _ => bail!("give either a --shape to measure with random weights, or a --model"),
    }
}

/// Returns the configuration of a shape, with the layers and the positions that the request needs.
fn random_config(arguments: &Arguments, request: &Request, name: &str) -> Result<Config> {
    let mut config = bitkv_models::find_config(name)?;
    if let Some(layers) = arguments.layers {
        let all = config.num_hidden_layers;
        ensure!(
            (1..=all).contains(&layers),
            "--layers {layers} is not possible, because {name} has {all} layers: use 1 to {all}"
        );
        config.num_hidden_layers = layers;
    }
    config.max_position_embeddings = request.positions(config.max_position_embeddings);
    Ok(config)
}
