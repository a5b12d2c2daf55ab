//! The I2_S layout in which a file is read, and the reason for it.

use crate::codec::i2s::Layout;

/// Why a layout was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LayoutReason {
    /// The caller asked for it.
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
    /// Why it was chosen.
    pub reason: LayoutReason,
    /// How well norms and columns agree in each layout that the shapes allow, in standard deviations; about 0
    /// if they do not agree. Empty if the caller asked for a layout.
    pub scores: Vec<(Layout, f64)>,
}
