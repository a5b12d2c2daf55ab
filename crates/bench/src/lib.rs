//! How fast a model runs here, beside what the machine could do.
//!
//! Every pass runs each test once, so that a disturbance falls on all of them, and measures the ceilings behind them.
//! Tests of one pass can thus be compared in pairs.

#![forbid(unsafe_code)]

mod cache;
mod ceilings;
mod error;
mod fit;
mod ids;
mod request;
mod rows;
mod test;

use bitkv_bitnet::Model;
use bitkv_progress::{Progress, Work};
use bitkv_record::{Method, ModelShape, Throughput};
use rayon::{ThreadPool, ThreadPoolBuilder};

use bitkv_models::provenance;

use self::{ceilings::Machine, test::Test};

pub use cache::{Cut, Fill};
pub use error::{Error, Result};
pub use request::{Probe, Request};

/// What is measured, and what it is called.
#[derive(Clone, Copy)]
pub struct Measured<'a> {
    /// Name in the record.
    pub name: &'a str,
    /// Whether its weights are random.
    pub random: bool,
    /// The model.
    pub model: &'a Model,
}

/// Runs every test of `request`, first the passes that do not count and then those that do.
///
/// # Errors
/// When the request does not fit the model, or a thread cannot be started.
pub fn measure(measured: &Measured<'_>, request: &Request, progress: &dyn Progress) -> Result<Throughput> {
    let config = measured.model.config();
    request.check(config)?;
    let tests = request.tests();
    let pools = request.threads.iter().map(|threads| pool(*threads)).collect::<Result<Vec<_>>>()?;
    let mut seconds = vec![vec![Vec::new(); tests.len()]; pools.len()];
    let (mut peak, mut machine) = (None, None);
    let passes = request.warm_up + request.repeats;
    let steps = Work::steps(progress, "measuring", passes * pools.len() * tests.len());
    for pass in 0..passes {
        for (pool, seconds) in pools.iter().zip(&mut seconds) {
            for (test, seconds) in tests.iter().zip(seconds) {
                let took = pool.install(|| test.run(measured.model, request))?;
                if pass >= request.warm_up {
                    seconds.push(took);
                }
                steps.advance();
            }
        }
        // The ceilings' buffer is no part of what the model needs.
        peak = peak.or_else(bitkv_bytes::peak_resident_bytes);
        if pass >= request.warm_up {
            machine.get_or_insert_with(|| Machine::new(&request.threads)).measure(&pools);
        }
    }
    steps.finish();
    let ceilings = machine.ok_or(Error::NoRepeats)?.medians();
    let rows = rows::all(measured.model, request, &tests, &seconds, &ceilings);
    Ok(Throughput {
        versions: provenance::versions(),
        machine: provenance::machine(),
        isa: bitkv_kernels::isa().name().into(),
        model: shape(measured),
        method: Method {
            warm_up: request.warm_up,
            repeats: request.repeats,
            fill: request.fill.name().into(),
            cut: request.cut.words().into(),
        },
        fits: fit::all(request, &rows),
        memory: rows::memory(measured.model, &rows, peak),
        ceilings: ceilings.iter().max_by_key(|c| c.threads).cloned().ok_or(Error::NoThreads)?,
        ceilings_by_threads: ceilings,
        rows,
        peak_rss_bytes: peak,
    })
}

fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|source| Error::Pool { threads, source })
}

fn shape(measured: &Measured<'_>) -> ModelShape {
    let config = measured.model.config();
    ModelShape {
        name: measured.name.into(),
        random: measured.random,
        layers: config.num_hidden_layers,
        hidden: config.hidden_size,
        intermediate: config.intermediate_size,
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        vocabulary: config.vocab_size,
        positions: config.max_position_embeddings,
        head: measured.model.head().name().into(),
    }
}

#[cfg(test)]
mod tests;
