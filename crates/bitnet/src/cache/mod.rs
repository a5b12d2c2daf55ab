//! The KV cache: one ragged buffer per layer and KV head, really smaller after eviction.

mod buffer;
mod codes;
mod gather;
mod head;
#[cfg(feature = "masked-cache")]
mod masked;
mod quantisation;
mod ragged;

use bitkv_checkpoint::Config;
use bitkv_kernels::attention::Floats;

use crate::{Error, Result, Rope};

#[cfg(feature = "masked-cache")]
pub use masked::MaskedCache;
pub use quantisation::Quantisation;
pub use ragged::Cache;

/// The type that a cache holds keys and values in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Precision {
    /// IEEE half: what deployed caches hold.
    #[default]
    F16,
    /// Single: for comparing with references that round nothing.
    F32,
}

impl Precision {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Precision::F16 => 2,
            Precision::F32 => 4,
        }
    }
}

/// How many buffers a cache has and how wide they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheShape {
    /// Layers of the model.
    pub layers: usize,
    /// KV heads of a layer.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl CacheShape {
    /// The shape that a model needs.
    pub fn of(config: &Config) -> Self {
        CacheShape {
            layers: config.num_hidden_layers,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        }
    }
}

impl std::fmt::Display for CacheShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} layers x {} KV heads x width {}", self.layers, self.kv_heads, self.head_dim)
    }
}

/// What attention reads of one KV head.
#[derive(Clone, Copy, Debug)]
pub struct CacheView<'a> {
    /// Keys after RoPE, at their original positions or those of [`KvCache::rerotate`], `[tokens, head_dim]`.
    pub keys: Floats<'a>,
    /// Values, `[tokens, head_dim]`.
    pub values: Floats<'a>,
    /// Original positions, ascending.
    pub positions: &'a [u32],
    /// Which of them may be seen; `None` means all.
    pub mask: Option<&'a [bool]>,
}

/// A cache that a model can run on: the ragged [`Cache`], or the masked one (feature `masked-cache`) that it is tested
/// against.
pub trait KvCache: Send + Sync {
    /// Number and width of the buffers.
    fn shape(&self) -> CacheShape;

    /// Tokens processed so far, kept or not: the position of the next token.
    fn tokens_seen(&self) -> usize;

    /// The position that one KV head's next token is rotated to: `tokens_seen()` unless the head was
    /// [rerotated](KvCache::rerotate).
    fn rotary_position(&self, layer: usize, head: usize) -> usize;

    /// The largest [`rotary_position`](KvCache::rotary_position) of any head: what a model's number of positions bounds.
    fn furthest_rotary_position(&self) -> usize {
        let shape = self.shape();
        let of_layer = |layer| (0..shape.kv_heads).map(move |head| self.rotary_position(layer, head));
        (0..shape.layers).flat_map(of_layer).max().unwrap_or_default()
    }

    /// Appends new tokens at positions `tokens_seen() ..` to all KV heads of a layer; `keys` and `values` are
    /// `[tokens, kv_heads, head_dim]`.
    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]);

    /// Makes room for exactly so many more tokens in all KV heads, where that is worth while.
    fn reserve(&mut self, _tokens: usize) {}

    /// Counts tokens as seen, once all layers have them; more of the same pass may follow.
    fn count(&mut self, tokens: usize);

    /// Ends a pass: quantises what waited for its end.
    fn settle(&mut self);

    /// Counts the tokens of a pass as seen, once all layers have them, and ends the pass.
    fn advance(&mut self, tokens: usize) {
        self.count(tokens);
        self.settle();
    }

    /// The buffers of one KV head.
    fn view(&self, layer: usize, head: usize) -> CacheView<'_>;

    /// Keeps, in every layer and KV head, only the tokens whose original positions `kept` returns, ascending.
    ///
    /// # Errors
    /// When a position is not in the cache or positions are not ascending; then nothing is changed.
    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()>;

    /// Holds keys and values in fewer bits from now on, or in f16 again. Best done behind a cut: what is cut later was
    /// quantised among its old neighbours, see [`Quantisation::Kivi`].
    ///
    /// # Errors
    /// When an option is out of range; then nothing is changed.
    fn quantise(&mut self, quantisation: Quantisation) -> Result<()>;

    /// Turns every head's keys to rotary positions 0, 1, 2 ... in the order they are held, so that the head's next
    /// token is rotated to the number of tokens it holds; original positions stay as they are. StreamingLLM
    /// (arXiv 2309.17453) and kvpress' `KeyRerotationPress` rotate so. Each time rounds the keys that move once
    /// more; quantised keys that move are read back, turned and quantised again. `rope` is the model's: see [`Model::rerotate`](crate::Model::rerotate).
    ///
    /// # Panics
    /// When `rope` is for heads of another width.
    fn rerotate(&mut self, rope: &Rope);

    /// Keys of one KV head as f32, `[tokens, head_dim]`.
    fn keys_f32(&self, layer: usize, head: usize) -> Vec<f32> {
        self.view(layer, head).keys.to_f32_vec()
    }

    /// Values of one KV head as f32, `[tokens, head_dim]`.
    fn values_f32(&self, layer: usize, head: usize) -> Vec<f32> {
        self.view(layer, head).values.to_f32_vec()
    }
}

/// For every layer and KV head the indices of the kept positions in its buffers.
pub(crate) fn kept_rows(
    cache: &dyn KvCache,
    kept: &dyn Fn(usize, usize) -> Vec<u32>,
) -> Result<Vec<Vec<usize>>> {
    let shape = cache.shape();
    let all = (0..shape.layers).flat_map(|layer| (0..shape.kv_heads).map(move |head| (layer, head)));
    all.map(|(layer, head)| {
        let view = cache.view(layer, head);
        let positions = kept(layer, head);
        if let Some(pair) = positions.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::NotAscending { layer, head, previous: pair[0], next: pair[1] });
        }
        let row = |&position: &u32| {
            let row = view.positions.binary_search(&position).ok();
            row.filter(|row| view.mask.is_none_or(|mask| mask[*row])).ok_or(Error::UnknownPosition {
                layer,
                head,
                position,
            })
        };
        positions.iter().map(row).collect()
    })
    .collect()
}

#[cfg(test)]
mod tests;
