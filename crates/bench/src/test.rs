//! One test: a prefill or a decode that is timed.

use std::time::Instant;

use bitkv_bitnet::{Cache, LmHeadPrecision, Model};

use crate::{Probe, Request, Result, cache, ids::ids};

/// A prefill or a decode of `tokens` tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    Prefill {
        tokens: usize,
        probe: Probe,
    },
    /// The cache has seen `depth` tokens before and holds the fraction `budget` of them.
    Decode {
        tokens: usize,
        depth: usize,
        budget: f64,
    },
}

impl Test {
    /// Runs the test on the current thread pool and returns its seconds, without the time to prepare the
    /// cache.
    pub(crate) fn run(&self, model: &Model, request: &Request) -> Result<f64> {
        match *self {
            Test::Prefill { tokens, probe } => prefill(model, tokens, probe),
            Test::Decode { tokens, depth, budget } => {
                let mut cache = cache::prepare(model, depth, budget, request.fill, request.head_budgets)?;
                let ids = ids(model, tokens + 1);
                // The first token makes the buffers of a new or compressed cache grow. That happens once, so
                // it is not timed.
                decode(model, ids[0], &mut cache)?;
                let started = Instant::now();
                for id in &ids[1..] {
                    decode(model, *id, &mut cache)?;
                }
                Ok(started.elapsed().as_secs_f64())
            }
        }
    }
}

/// Decodes one token: with an exact LM head up to all logits, with an int8 LM head up to the most probable
/// next token.
fn decode(model: &Model, id: u32, cache: &mut Cache) -> Result<()> {
    if model.lm_head_precision() == LmHeadPrecision::Exact {
        std::hint::black_box(model.decode(id, cache)?);
        return Ok(());
    }
    let hidden: Vec<f32> = model.forward(&[id], cache, None)?.hidden.flatten_all()?.to_vec1()?;
    std::hint::black_box(model.greedy_token(&hidden)?);
    Ok(())
}

/// Returns the seconds of a prefill into a new cache.
fn prefill(model: &Model, tokens: usize, probe: Probe) -> Result<f64> {
    let (ids, observe) = (ids(model, tokens), probe.observe());
    let started = Instant::now();
    let mut cache = model.new_cache();
    let result = model.prefill(&ids, &mut cache, observe.as_ref())?;
    let seconds = started.elapsed().as_secs_f64();
    // Memory is freed after the clock has stopped.
    drop(std::hint::black_box((result, cache)));
    Ok(seconds)
}
