//! One thing that is timed.

use std::time::Instant;

use bitkv_bitnet::{Cache, LmHeadPrecision, Model};

use crate::{Probe, Request, Result, cache, ids::ids};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    Prefill { tokens: usize, probe: Probe },
    Decode { tokens: usize, depth: usize, budget: f64 },
}

impl Test {
    /// Seconds that it takes on the current thread pool. What only sets the stage is not counted.
    pub(crate) fn run(&self, model: &Model, request: &Request) -> Result<f64> {
        match *self {
            Test::Prefill { tokens, probe } => prefill(model, tokens, probe),
            Test::Decode { tokens, depth, budget } => {
                let mut cache = cache::prepare(model, depth, budget, request.fill, request.cut)?;
                let ids = ids(model, tokens + 1);
                // Buffers grow behind a cut, and where nothing was yet: once, however much is decoded.
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

/// Runs a token up to all logits after it, or through a rounded head up to the most probable token after it.
fn decode(model: &Model, id: u32, cache: &mut Cache) -> Result<()> {
    if model.lm_head() == LmHeadPrecision::Exact {
        std::hint::black_box(model.decode(id, cache)?);
        return Ok(());
    }
    let hidden: Vec<f32> = model.forward(&[id], cache, None)?.hidden.flatten_all()?.to_vec1()?;
    std::hint::black_box(model.greedy(&hidden)?);
    Ok(())
}

fn prefill(model: &Model, tokens: usize, probe: Probe) -> Result<f64> {
    let (ids, observe) = (ids(model, tokens), probe.observe());
    let started = Instant::now();
    let mut cache = model.new_cache();
    let result = model.prefill(&ids, &mut cache, observe.as_ref())?;
    let seconds = started.elapsed().as_secs_f64();
    // What is freed afterwards is not the test's.
    drop(std::hint::black_box((result, cache)));
    Ok(seconds)
}
