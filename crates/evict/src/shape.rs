//! The extent of a cache.

use crate::Error;

/// The extent of a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// Transformer layers.
    pub layers: usize,
    /// Query heads in each layer; query head `q` reads KV head `q / group`.
    pub query_heads: usize,
    /// Key-value heads in each layer.
    pub kv_heads: usize,
    /// Cached tokens in each KV head.
    pub tokens: usize,
    /// Length of one key; read only where keys are.
    pub head_dim: usize,
}

impl Shape {
    /// Query heads that share one KV head. Meaningful for a shape that passed [`Shape::check`].
    pub fn group(&self) -> usize {
        self.query_heads / self.kv_heads.max(1)
    }

    /// KV heads over all layers.
    pub fn all_kv_heads(&self) -> usize {
        self.layers * self.kv_heads
    }

    /// Query heads over all layers.
    pub fn all_query_heads(&self) -> usize {
        self.layers * self.query_heads
    }

    /// Refuses an empty cache, query heads that do not divide among the KV heads, and
    /// sizes whose products or positions overflow.
    ///
    /// # Errors
    /// With what is impossible about the shape.
    pub fn check(&self) -> Result<(), Error> {
        let Shape { layers, query_heads, kv_heads, tokens, head_dim } = *self;
        let refuse = |reason: String| Err(Error::Shape { reason });
        if layers == 0 || query_heads == 0 || kv_heads == 0 || tokens == 0 {
            return refuse(format!(
                "it has {layers} layers, {query_heads} query heads, {kv_heads} KV heads and \
                 {tokens} tokens, all of which must be at least 1"
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
