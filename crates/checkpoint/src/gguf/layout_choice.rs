//! The I2_S layout in which a file is read, and the reason for it.

use crate::codec::i2s::Layout;

/// Why a layout was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It was asked for.
    Given,
    /// Norms and columns agree clearly better in this layout than in the others.
    Plausible,
    /// No layout is clearly the best, so this is the first one that fits, usually the layout of the published
    /// file.
    Default,
}

/// The I2_S layout of a file.
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
