//! What the gate of an MLP does to its values.

/// The activation of the gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// `max(g, 0)^2`, as in BitNet-b1.58-2B-4T.
    ReluSquared,
    /// `g * sigmoid(g)`, as in bitnet_b1_58-large.
    Silu,
}
