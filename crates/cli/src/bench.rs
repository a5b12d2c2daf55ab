//! `bitkv bench`: tokens per second of a model, beside what the machine can do.

mod arguments;
mod table;

use anyhow::{Result, bail, ensure};
use bitkv_bench::{Measured, Request, measure};
use bitkv_bitnet::{Checkpoint, Config, Model};

use crate::{bars::BARS, output};

pub(crate) use arguments::Arguments;

/// A model and what it is called.
struct Benched {
    name: String,
    random: bool,
    model: Model,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    bitkv_kernels::check_isa()?;
    let request = arguments.request()?;
    let Benched { name, random, model } = loaded(arguments, &request)?;
    let model = model.with_lm_head(arguments.lm_head.precision())?;
    let measured = Measured { name: &name, random, model: &model };
    let document = measure(&measured, &request, &BARS)?;
    match arguments.json {
        true => output::json(&document),
        false => output::text(&table::text(&document)),
    }
}

fn loaded(arguments: &Arguments, request: &Request) -> Result<Benched> {
    match (&arguments.shape, arguments.model.given()) {
        (Some(name), None) => {
            let config = random_config(arguments, request, name)?;
            // The request is checked before hundreds of megabytes of weights are made.
            request.check(&config)?;
            let model = Model::load(&Checkpoint::random(&config, arguments.seed))?;
            Ok(Benched { name: name.clone(), random: true, model })
        }
        (None, Some(model)) => {
            ensure!(
                arguments.layers.is_none(),
                "--layers cuts a random model's depth: leave it out, or give a --shape instead of a --model"
            );
            let source = model.source()?;
            let checkpoint = source.checkpoint()?;
            ensure!(
                !checkpoint.config().plain_llama,
                "a llama skeleton multiplies floats, which is not what is measured here: leave out --as"
            );
            request.check(checkpoint.config())?;
            Ok(Benched { name: source.name(), random: false, model: Model::load(&checkpoint)? })
        }
        _ => bail!("give either a --shape to measure with random weights, or a --model"),
    }
}

/// Returns the configuration of a shape, with the layers and the positions that the request needs.
fn random_config(arguments: &Arguments, request: &Request, name: &str) -> Result<Config> {
    let mut config = bitkv_models::config_of(name)?;
    if let Some(layers) = arguments.layers {
        let all = config.num_hidden_layers;
        ensure!((1..=all).contains(&layers), "--layers {layers}: {name} has {all}; use 1 to {all}");
        config.num_hidden_layers = layers;
    }
    config.max_position_embeddings = request.positions(config.max_position_embeddings);
    Ok(config)
}
