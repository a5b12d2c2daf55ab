//! The activation function of a gated MLP, shared by the kernels for inference and for training.

/// The activation function that an MLP applies to its gate projection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// `max(g, 0)^2`, as in BitNet-b1.58-2B-4T.
    ReluSquared,
    /// `g * sigmoid(g)`, as in bitnet_b1_58-large.
    Silu,
}
