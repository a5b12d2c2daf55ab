//! The shape of a cache: its layers, heads and tokens.

use crate::Error;

/// The shape of a cache: its layers, heads and tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// The number of transformer layers.
    pub layers: usize,
    /// The number of query heads in each layer. Query head `q` reads KV head `q / group`.
    pub query_heads: usize,
    /// The number of key-value heads in each layer.
    pub kv_heads: usize,
    /// The number of tokens seen, which is the number that each KV head holds if nothing was evicted.
    pub tokens: usize,
    /// The number of channels of a key or a value. It is read only by policies that need keys, values or
    /// query moments.
    pub head_dim: usize,
}

impl Shape {
    /// Returns the number of query heads that share one KV head. It is meaningful for a shape that passed
    /// [`Shape::check`].
    pub fn group(&self) -> usize {
        self.query_heads / self.kv_heads.max(1)
    }

    /// Returns the number of KV heads over all layers.
    pub fn all_kv_heads(&self) -> usize {
        self.layers * self.kv_heads
    }

    /// Returns the number of query heads over all layers.
    pub fn all_query_heads(&self) -> usize {
        self.layers * self.query_heads
    }

    /// Checks that the cache is not empty, that the query heads divide evenly among the KV heads, and that no
    /// product of sizes and no position overflows.
    ///
    /// # Errors
    /// Returns what is wrong with the shape.
    pub fn check(&self) -> Result<(), Error> {
        let Shape { layers, query_heads, kv_heads, tokens, head_dim } = *self;
        let refuse = |reason: String| Err(Error::Shape { reason });
        if layers == 0 || query_heads == 0 || kv_heads == 0 || tokens == 0 {
            return refuse(format!(
                "it has {layers} layers, {query_heads} query heads, {kv_heads} KV heads and \
                 {tokens} tokens, but each number must be at least 1"
            ));
        }
        if query_heads % kv_heads != 0 {
            return refuse(format!(
                "{query_heads} query heads do not divide evenly among {kv_heads} KV heads"
            ));
        }
        let entries =
            [query_heads, tokens, head_dim.max(1)].iter().try_fold(layers, |a, &b| a.checked_mul(b));
        if entries.is_none() || u32::try_from(tokens).is_err() {
            return refuse(format!("{layers} layers of {query_heads} heads of {tokens} tokens are too many"));
        }
        Ok(())
    }
}
