//! The I2_S layout that a file is read in, and why.

use crate::codec::i2s::Layout;

/// Why a layout was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It was asked for.
    Given,
    /// Norms and columns agree in it, and in no other.
    Plausible,
    /// Nothing tells the layouts apart, so that it is the one of the published file.
    Default,
}

/// A file's I2_S layout.
#[derive(Clone, Debug, PartialEq)]
pub struct LayoutChoice {
    /// The layout.
    pub layout: Layout,
    /// Why.
    pub reason: Reason,
    /// How well norms and columns agree in each layout that the shapes allow: about 0 when they do not. Empty when
    /// a layout was given.
    pub scores: Vec<(Layout, f64)>,
}
