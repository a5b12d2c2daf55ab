//! The cache in front of a decode.

use bitkv_bitnet::{Cache, CacheShape, KvCache, Model};
use bitkv_stats::{Rng, apportion_within};

use crate::{Error, Result, ids::ids};

/// First tokens that every head keeps: attention sinks (arXiv 2309.17453).
const SINKS: usize = 4;

/// Where the tokens in front of a decode come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fill {
    /// Random keys and values: what is read is as long as after a prefill, which takes no time.
    Synthetic,
    /// A real prefill, each time.
    Prefill,
}

/// Which tokens a budget keeps: the first four of each head and its most recent ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// Equally many in every head.
    Even,
    /// Half the mean in one head of each layer, one and a half times the mean in another, and those between in equal
    /// steps; the sum is that of an even cut.
    Uneven,
}

impl Fill {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fill::Synthetic => "synthetic",
            Fill::Prefill => "prefill",
        }
    }

    /// A way by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn find(name: &str) -> Result<Fill> {
        let ways = [Fill::Synthetic, Fill::Prefill];
        let found = ways.into_iter().find(|way| way.name() == name);
        found.ok_or_else(|| Error::Fill { name: name.into() })
    }
}

impl Cut {
    /// A cut by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn find(name: &str) -> Result<Cut> {
        match name {
            "even" => Ok(Cut::Even),
            "uneven" => Ok(Cut::Uneven),
            _ => Err(Error::Cut { name: name.into() }),
        }
    }

    /// What it keeps, for the record.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Cut::Even => "even: the first 4 and the most recent tokens of every head",
            Cut::Uneven => {
                "uneven: the first 4 and the most recent tokens, heads hold 0.5 to 1.5 times their layer's mean"
            }
        }
    }

    /// Tokens that each head of a layer keeps of `depth`.
    pub(crate) fn kept(self, depth: usize, budget: f64, shape: CacheShape, layer: usize) -> Vec<usize> {
        let heads = shape.kv_heads;
        let kept = ((budget * depth as f64).round() as usize).max(1);
        let even = vec![kept; heads];
        if self == Cut::Even || heads == 1 || kept == depth {
            return even;
        }
        // Another head is the longest in every layer.
        let weight = |head: usize| 0.5 + ((head + layer) % heads) as f64 / (heads - 1) as f64;
        let weights: Vec<f64> = (0..heads).map(weight).collect();
        apportion_within(kept * heads, &weights, 1, &vec![depth; heads]).unwrap_or(even)
    }
}

/// A cache that has seen `depth` tokens and holds the part `budget` of them.
pub(crate) fn prepare(model: &Model, depth: usize, budget: f64, fill: Fill, cut: Cut) -> Result<Cache> {
    let mut cache = model.new_cache();
    if depth == 0 {
        return Ok(cache);
    }
    match fill {
        Fill::Synthetic => synthesise(&mut cache, depth),
        Fill::Prefill => {
            model.forward(&ids(model, depth), &mut cache, None)?;
        }
    }
    if budget < 1.0 {
        let shape = cache.shape();
        let kept = |layer: usize, head: usize| {
            let count = cut.kept(depth, budget, shape, layer)[head];
            let sinks = SINKS.min(count);
            let recent = depth - (count - sinks)..depth;
            (0..sinks).chain(recent).map(|position| position as u32).collect()
        };
        cache.keep(&kept)?;
    }
    Ok(cache)
}

/// Numbers between -1 and 1. Layers and keys and values begin at other places of one row of them.
fn synthesise(cache: &mut Cache, depth: usize) {
    let shape = cache.shape();
    let count = depth * shape.kv_heads * shape.head_dim;
    let mut random = Rng::new(0);
    let shifts = 2 * shape.layers;
    let numbers: Vec<f32> = (0..count + shifts).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
    for layer in 0..shape.layers {
        cache.append(layer, &numbers[2 * layer..][..count], &numbers[2 * layer + 1..][..count]);
    }
    cache.advance(depth);
}
