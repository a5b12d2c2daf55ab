//! Shapes of models, and how much work and storage they imply.

/// The shape of a model. Sizes are numbers of values unless they say otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The name in tables.
    pub name: &'static str,
    /// The number of layers.
    pub layers: u32,
    /// The width of hidden states.
    pub hidden: u32,
    /// The width of the feed-forward block.
    pub intermediate: u32,
    /// The number of query heads of a layer.
    pub heads: u32,
    /// The number of KV heads of a layer.
    pub kv_heads: u32,
    /// The width of a head.
    pub head_dim: u32,
    /// The number of tokens of the vocabulary.
    pub vocabulary: u32,
    /// Whether embeddings and LM head share one matrix.
    pub tied: bool,
    /// Whether the weights of linear layers are ternary. Others are dense and stored as Q4_1.
    pub ternary: bool,
}

/// The built-in model with as many KV heads as heads (`models/tiny-mha`).
pub const TINY_MHA: Shape = Shape {
    name: "tiny-mha",
    layers: 4,
    hidden: 256,
    intermediate: 640,
    heads: 8,
    kv_heads: 8,
    head_dim: 32,
    vocabulary: 2048,
    tied: true,
    ternary: true,
};

/// The built-in model with grouped KV heads (`models/tiny-gqa`).
pub const TINY_GQA: Shape = Shape { name: "tiny-gqa", intermediate: 768, kv_heads: 2, ..TINY_MHA };

/// BitNet-b1.58-2B-4T, from its published configuration.
pub const BITNET_2B: Shape = Shape {
    name: "2B-4T",
    layers: 30,
    hidden: 2560,
    intermediate: 6912,
    heads: 20,
    kv_heads: 5,
    head_dim: 128,
    vocabulary: 128_256,
    tied: true,
    ternary: true,
};

/// A dense model like Llama 3.1 8B (arXiv 2407.21783, table 3).
pub const LIKE_8B: Shape = Shape {
    name: "8B-like",
    layers: 32,
    hidden: 4096,
    intermediate: 14_336,
    heads: 32,
    kv_heads: 8,
    head_dim: 128,
    vocabulary: 128_256,
    tied: false,
    ternary: false,
};

/// A dense model like Llama 3.1 70B (arXiv 2407.21783, table 3).
pub const LIKE_70B: Shape =
    Shape { name: "70B-like", layers: 80, hidden: 8192, intermediate: 28_672, heads: 64, ..LIKE_8B };

/// The shapes that are projected, from small to large.
pub const PROJECTED: [Shape; 4] = [TINY_GQA, BITNET_2B, LIKE_8B, LIKE_70B];

/// The bits of a dense weight as stored: Q4_1 has a scale and a minimum of 16 bits for 32 weights.
const DENSE_BITS: f64 = 5.0;
/// The bits of a packed ternary weight.
const TERNARY_BITS: f64 = 2.0;
/// The bits of a value of the embeddings and the LM head.
const HEAD_BITS: f64 = 16.0;

impl Shape {
    /// Returns the built-in model of this name.
    pub fn built_in(name: &str) -> Option<Shape> {
        [TINY_MHA, TINY_GQA].into_iter().find(|shape| shape.name == name)
    }

    /// Returns the number of weights of all linear layers, without the LM head.
    pub fn linear_weights(&self) -> f64 {
        let (hidden, width) = (f64::from(self.hidden), f64::from(self.head_dim));
        let attention = 2.0 * hidden * width * f64::from(self.heads + self.kv_heads);
        f64::from(self.layers) * (attention + 3.0 * hidden * f64::from(self.intermediate))
    }

    /// Returns the operations that the linear layers need for one token: two for each weight.
    pub fn linear_ops(&self) -> f64 {
        2.0 * self.linear_weights()
    }

    /// Returns the operations that the LM head needs for one token.
    pub fn lm_head_ops(&self) -> f64 {
        2.0 * f64::from(self.hidden) * f64::from(self.vocabulary)
    }

    /// Returns the operations of causal attention while `tokens` tokens are read into an empty cache.
    pub fn prefill_attention_ops(&self, tokens: f64) -> f64 {
        // Each of T^2 / 2 pairs of tokens costs two products of head_dim operations in each head.
        2.0 * tokens * tokens * f64::from(self.heads * self.head_dim * self.layers)
    }

    /// Returns the operations of attention of one token over `entries` kept entries, counted over all layers
    /// and KV heads.
    pub fn attention_ops(&self, entries: f64) -> f64 {
        4.0 * entries * f64::from(self.head_dim) * f64::from(self.heads) / f64::from(self.kv_heads)
    }

    /// Returns the entries of a cache of `tokens` tokens, over all layers and KV heads.
    pub fn entries(&self, tokens: f64) -> f64 {
        f64::from(self.layers * self.kv_heads) * tokens
    }

    /// Returns the bytes of a cache of `tokens` tokens in f16.
    pub fn cache_bytes(&self, tokens: f64) -> f64 {
        self.entries(tokens) * self.entry_bytes()
    }

    /// Returns the bytes of the key and the value of one entry in f16.
    pub fn entry_bytes(&self) -> f64 {
        4.0 * f64::from(self.head_dim)
    }

    /// Returns the bytes of the weights on the file system.
    pub fn weight_bytes(&self) -> f64 {
        let bits = if self.ternary { TERNARY_BITS } else { DENSE_BITS };
        let matrices = if self.tied { 1.0 } else { 2.0 };
        let head = f64::from(self.hidden) * f64::from(self.vocabulary) * matrices;
        (self.linear_weights() * bits + head * HEAD_BITS) / 8.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_2b_4t_has_its_published_size() {
        assert_eq!(BITNET_2B.linear_weights(), 2_084_044_800.0);
        // Packed weights and the 16-bit LM head, as reconciled with the published file.
        assert_eq!(BITNET_2B.weight_bytes(), 521_011_200.0 + 656_670_720.0);
    }

    #[test]
    fn dense_shapes_have_their_published_sizes() {
        let parameters =
            |shape: Shape| shape.linear_weights() + 2.0 * f64::from(shape.hidden * shape.vocabulary);
        assert!((parameters(LIKE_8B) / 8.03e9 - 1.0).abs() < 0.01);
        assert!((parameters(LIKE_70B) / 70.6e9 - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_cache_has_the_bytes_that_rows_record() {
        // `full_entries` and `full_bytes` of a text in results/retrieval-2.
        assert_eq!(TINY_MHA.entries(896.0), 28_672.0);
        assert_eq!(TINY_MHA.cache_bytes(896.0), 3_670_016.0);
    }
}
