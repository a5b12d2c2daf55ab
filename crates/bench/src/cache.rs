//! Prepares the KV cache that a decode test starts with.
//!
//! [`Fill`] says where its keys and values come from, and [`HeadBudgets`] how many of them each head keeps.

use bitkv_bitnet::{Cache, CacheShape, KvCache, Model};
use bitkv_stats::{Rng, apportion_within};

use crate::{Error, Result, ids::ids};

/// The number of first tokens that every head keeps: attention sinks (arXiv 2309.17453).
const SINKS: usize = 4;

/// Where the cached keys and values before a decode come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fill {
    /// Random keys and values. A decode reads as many bytes as after a prefill, but filling the cache is
    /// fast.
    Synthetic,
    /// A real prefill before every decode.
    Prefill,
}

/// How a budget is divided among the KV heads of a layer. Each head keeps its first four tokens and its most
/// recent ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadBudgets {
    /// Every head keeps the same number of tokens.
    Even,
    /// One head of each layer keeps half the mean, another one and a half times the mean, and the others are
    /// equally spaced between them. A layer keeps as many tokens as with [`HeadBudgets::Even`].
    Uneven,
}

impl Fill {
    /// Returns the name that `bitkv bench --fill` takes and that records hold.
    pub fn name(self) -> &'static str {
        match self {
            Fill::Synthetic => "synthetic",
            Fill::Prefill => "prefill",
        }
    }

    /// Returns the fill with this name.
    ///
    /// # Errors
    /// Fails if no fill has this name.
    pub fn find(name: &str) -> Result<Fill> {
        let fills = [Fill::Synthetic, Fill::Prefill];
        let found = fills.into_iter().find(|fill| fill.name() == name);
        found.ok_or_else(|| Error::Fill { name: name.into() })
    }
}

impl HeadBudgets {
    /// Returns the division with this name.
    ///
    /// # Errors
    /// Fails if no division has this name.
    pub fn find(name: &str) -> Result<HeadBudgets> {
        match name {
            "even" => Ok(HeadBudgets::Even),
            "uneven" => Ok(HeadBudgets::Uneven),
            _ => Err(Error::HeadBudgets { name: name.into() }),
        }
    }

    /// Describes which tokens are kept, for the record.
    pub(crate) fn description(self) -> &'static str {
        match self {
            HeadBudgets::Even => "even: the first 4 and the most recent tokens of every head",
            HeadBudgets::Uneven => {
                "uneven: the first 4 and the most recent tokens, heads hold 0.5 to 1.5 times their layer's mean"
            }
        }
    }

    /// Returns how many of `depth` tokens each KV head of a layer keeps, `[kv_heads]`.
    pub(crate) fn kept(self, depth: usize, budget: f64, shape: CacheShape, layer: usize) -> Vec<usize> {
        let heads = shape.kv_heads;
        let kept = ((budget * depth as f64).round() as usize).max(1);
        let even = vec![kept; heads];
        if self == HeadBudgets::Even || heads == 1 || kept == depth {
            return even;
        }
        // In each layer a different head is the longest.
        let weight = |head: usize| 0.5 + ((head + layer) % heads) as f64 / (heads - 1) as f64;
        let weights: Vec<f64> = (0..heads).map(weight).collect();
        apportion_within(kept * heads, &weights, 1, &vec![depth; heads]).unwrap_or(even)
    }
}

/// Returns a cache that has seen `depth` tokens and holds the fraction `budget` of them.
pub(crate) fn prepare(
    model: &Model,
    depth: usize,
    budget: f64,
    fill: Fill,
    head_budgets: HeadBudgets,
) -> Result<Cache> {
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
            let count = head_budgets.kept(depth, budget, shape, layer)[head];
            let sinks = SINKS.min(count);
            let recent = depth - (count - sinks)..depth;
            (0..sinks).chain(recent).map(|position| position as u32).collect()
        };
        cache.keep(&kept)?;
    }
    Ok(cache)
}

/// Appends `depth` tokens of random keys and values between -1 and 1. All layers share one random sequence;
/// the keys and the values of each layer start at different offsets of it.
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
