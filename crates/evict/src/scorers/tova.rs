//! The scorer `tova`.

use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens that the last query attended to, averaged over all query heads of the layer: the
    /// whole layer has one ranking. The last token is not protected.
    pub struct Tova {}
    needs(self) [Need::Window(1)];
    "tova" from "Oren et al. 2024 (TOVA), arXiv:2401.06104",
    "Keeps the tokens that the last query attended to, averaged over the layer's heads.", pools: false,
    formula: "The mean of the attention to `j` over all query heads of the layer that hold `j`."
}

impl Scorer for Tova {
    fn incomparable(&self) -> Option<&'static str> {
        Some("`tova` gives all heads of a layer the same scores")
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.layer_mean(Need::Window(1)));
    }
}
