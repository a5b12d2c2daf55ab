//! The KV cache. Eviction frees memory, because every KV head of every layer has its own buffer.
//!
//! [`Cache`] is the cache to use, and the trait [`KvCache`] has its operations. [`KvCache::keep`] evicts: it
//! keeps the positions that a plan names for each layer and KV head. [`KvCache::quantise`] stores keys and
//! values in fewer bits (see [`Quantisation`]), and [`KvCache::rerotate`] moves keys to new rotary positions.
//! [`CacheView`] is the content of one KV head. `MaskedCache` (feature `masked-cache`) hides evicted tokens
//! with a mask instead of removing them; tests compare [`Cache`] with it.

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

/// The floating-point type in which a cache holds keys and values.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CachePrecision {
    /// IEEE half precision, which deployed caches use.
    #[default]
    F16,
    /// Single precision, for comparisons with references that do not round keys and values.
    F32,
}

impl CachePrecision {
    /// The bytes of one stored number.
    pub fn bytes(self) -> usize {
        match self {
            CachePrecision::F16 => 2,
            CachePrecision::F32 => 4,
        }
    }
}

/// The number of layers of a cache, its KV heads per layer, and their width.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheShape {
    /// The number of layers.
    pub layers: usize,
    /// The number of KV heads per layer.
    pub kv_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
}

impl CacheShape {
    /// Returns the shape that a model of this configuration needs.
    pub fn from_config(config: &Config) -> Self {
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

/// The keys and values of one KV head, as attention reads them.
#[derive(Clone, Copy, Debug)]
pub struct CacheView<'a> {
    /// Keys after RoPE, `[tokens, head_dim]`. They are rotated to their original positions or, after
    /// [`KvCache::rerotate`], to their new ones. Keys are not rotated if the cache
    /// [has positions in the cache](KvCache::has_positions_in_cache).
    pub keys: Floats<'a>,
    /// Values, `[tokens, head_dim]`.
    pub values: Floats<'a>,
    /// The original positions of the tokens, ascending, `[tokens]`.
    pub positions: &'a [u32],
    /// Whether attention may see each token, `[tokens]`; `None` means that it sees all.
    pub mask: Option<&'a [bool]>,
}

/// The operations of a cache that a model can run on.
///
/// The implementations are [`Cache`] and, for tests, `MaskedCache` (feature `masked-cache`).
pub trait KvCache: Send + Sync {
    /// The number of layers, the KV heads per layer, and their width.
    fn shape(&self) -> CacheShape;

    /// The number of tokens processed so far, including evicted ones. This is the original position of the
    /// next token.
    fn tokens_seen(&self) -> usize;

    /// The position to which the next token of a KV head is rotated. It is `tokens_seen()` unless the head
    /// was [rerotated](KvCache::rerotate).
    fn rotary_position(&self, layer: usize, head: usize) -> usize;

    /// The largest [`rotary_position`](KvCache::rotary_position) of any head. It must be below the number of
    /// positions of the model for another token to run.
    fn furthest_rotary_position(&self) -> usize {
        let shape = self.shape();
        let positions_in_layer =
            |layer| (0..shape.kv_heads).map(move |head| self.rotary_position(layer, head));
        (0..shape.layers).flat_map(positions_in_layer).max().unwrap_or_default()
    }

    /// Whether the cache stores keys before RoPE, so that attention reads every key at its index in the
    /// cache; see [`Cache::with_positions_in_cache`].
    fn has_positions_in_cache(&self) -> bool {
        false
    }

    /// The bytes of the keys and values, without room to grow.
    fn bytes(&self) -> usize;

    /// Removes the newest tokens, as if they had never been appended. `tokens` is their number.
    fn forget_newest(&mut self, tokens: usize);

    /// Appends new tokens at positions `tokens_seen() ..` to all KV heads of a layer. `keys` and `values` are
    /// `[tokens, kv_heads, head_dim]`.
    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]);

    /// The largest magnitude of a key or a value that this cache can store without overflow.
    fn largest_number(&self) -> f32;

    /// Reserves room for exactly this number of additional tokens in every KV head. The default does nothing.
    fn reserve(&mut self, _tokens: usize) {}

    /// Adds `tokens` to [`tokens_seen`](KvCache::tokens_seen), after all layers have appended them. The same
    /// pass may append more tokens afterwards.
    fn count_tokens(&mut self, tokens: usize);

    /// Ends a forward pass. A cache with [`Quantisation::Kivi`] quantises its older tokens now.
    fn finish_pass(&mut self);

    /// Counts the `tokens` of a pass that all layers have appended, and ends the pass.
    fn advance(&mut self, tokens: usize) {
        self.count_tokens(tokens);
        self.finish_pass();
    }

    /// Returns the keys, values and positions of one KV head.
    fn view(&self, layer: usize, head: usize) -> CacheView<'_>;

    /// Evicts all tokens except those that a plan keeps: `kept(layer, head)` returns the original positions
    /// that this KV head keeps, ascending.
    ///
    /// # Errors
    /// Fails if a position is not in the cache, or if the positions are not ascending. An error leaves the
    /// cache unchanged.
    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()>;

    /// Stores old and new keys and values in fewer bits from now on, or in f16 again.
    ///
    /// Evict before you quantise: a token that is evicted later was quantised together with its neighbours,
    /// so it has influenced their codes; see [`Quantisation::Kivi`].
    ///
    /// # Errors
    /// Fails if an option is out of range. An error leaves the cache unchanged.
    fn quantise(&mut self, quantisation: Quantisation) -> Result<()>;

    /// Rotates the keys of every head to rotary positions 0, 1, 2 ..., in their present order. The next token
    /// of a head is then rotated to the number of tokens that the head holds. Original positions stay as they
    /// are.
    ///
    /// StreamingLLM (arXiv 2309.17453) and kvpress' `KeyRerotationPress` do the same. Keys whose position
    /// changes are rounded once more by each call; if they are quantised, they are read back, rotated and
    /// quantised again. `rope` must be the rotary angles of the model;
    /// [`Model::rerotate`](crate::Model::rerotate) passes them.
    ///
    /// # Errors
    /// Fails with [`Error::CacheOverflow`] if a rotated key is too large for the cache, which must then not
    /// be used any more.
    ///
    /// # Panics
    /// Panics if the heads of `rope` have another width than those of the cache.
    fn rerotate(&mut self, rope: &Rope) -> Result<()>;

    /// Returns the keys of one KV head as f32, `[tokens, head_dim]`, as they are stored.
    fn keys_f32(&self, layer: usize, head: usize) -> Vec<f32> {
        self.view(layer, head).keys.to_f32_vec()
    }

    /// Returns the values of one KV head as f32, `[tokens, head_dim]`.
    fn values_f32(&self, layer: usize, head: usize) -> Vec<f32> {
        self.view(layer, head).values.to_f32_vec()
    }
}

/// Returns the rows that a plan keeps in the buffers of each KV head, `[layers * kv_heads][kept]`, ascending.
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
mod tests {
    use super::*;

    const SHAPE: CacheShape = CacheShape { layers: 2, kv_heads: 2, head_dim: 2 };

    fn filled(tokens: usize) -> Cache {
        let mut cache = Cache::new(SHAPE);
        let numbers: Vec<f32> = (0..tokens * 4).map(|i| i as f32).collect();
        for layer in 0..2 {
            cache.append(layer, &numbers, &numbers);
        }
        cache.advance(tokens);
        cache
    }

    #[test]
    fn each_head_holds_its_own_columns() {
        let cache = filled(3);
        assert_eq!(cache.keys_f32(1, 0), [0.0, 1.0, 4.0, 5.0, 8.0, 9.0]);
        assert_eq!(cache.keys_f32(1, 1), [2.0, 3.0, 6.0, 7.0, 10.0, 11.0]);
    }

    #[test]
    fn keeping_frees_memory_and_remembers_positions() {
        let mut cache = filled(100);
        assert_eq!(cache.bytes(), 100 * 2 * 2 * 2 * 2 * 2);
        cache.keep(&|layer, head| if (layer, head) == (0, 1) { vec![7, 99] } else { vec![] }).unwrap();
        assert_eq!((cache.len(0, 1), cache.len(1, 1), cache.tokens_seen()), (2, 0, 100));
        assert_eq!((cache.bytes(), cache.allocated_bytes()), (2 * 8, 2 * 12));
        assert_eq!(cache.view(0, 1).positions, [7, 99]);
        assert_eq!(cache.keys_f32(0, 1), [30.0, 31.0, 398.0, 399.0]);
        cache.keep(&|_, head| if head == 1 { cache_positions() } else { vec![] }).unwrap_err();
    }

    fn cache_positions() -> Vec<u32> {
        vec![7]
    }

    #[test]
    fn invalid_plans_leave_the_cache_unchanged() {
        let mut cache = filled(5);
        let error = cache.keep(&|_, _| vec![1, 5]).unwrap_err().to_string();
        assert!(error.contains("position 5") && error.contains("layer 0, KV head 0"), "{error}");
        for plan in [vec![2, 2], vec![3, 1]] {
            assert!(matches!(cache.keep(&|_, _| plan.clone()), Err(Error::NotAscending { .. })));
        }
        let late = |layer, _| if layer == 1 { vec![9] } else { vec![0] };
        assert!(cache.keep(&late).is_err());
        assert_eq!(cache.len(0, 0), 5);
    }
}
