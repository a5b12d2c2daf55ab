//! The allocator `uniform`.

use crate::{Allocator, Division, Reason, Shape};

method! {
    /// Gives every head the same number of tokens. The first `whole-layers` layers can be kept whole. If that
    /// would leave less than one token for each head of the other layers, no layer is kept whole.
    #[serde(rename_all = "kebab-case")]
    pub struct Uniform {
        /// The number of first layers that keep every token that they hold.
        pub whole_layers: usize = 0,
    }
    "uniform" from "the usual baseline",
    "Gives every head the same number of tokens.",
    formula: "The same for every head. With `whole-layers`, that many first layers keep all their tokens, \
         and the other heads share the rest evenly. If that rest is less than one token per head, every \
         head gets the same.",
    differences: "`whole-layers=2` is the setting of arXiv:2406.11430, where the other layers keep their \
         fraction \
         regardless of what the two whole layers take."
}

impl Allocator for Uniform {
    fn check(&self, shape: Shape) -> Result<(), Reason> {
        let (whole, layers) = (self.whole_layers, shape.layers);
        match whole <= layers {
            true => Ok(()),
            false => {
                Err(format!("it has {layers} layers and whole-layers is {whole}: use at most {layers}")
                    .into())
            }
        }
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let held: Vec<usize> = division.scores.iter().map(Vec::len).collect();
        let whole = self.whole_layers.saturating_mul(division.observation.shape.kv_heads).min(held.len());
        let (rest, others) = (division.total.checked_sub(held[..whole].iter().sum()), held.len() - whole);
        let Some(rest) = rest.filter(|&rest| rest >= others) else { return vec![1.0; held.len()] };
        let share = rest as f64 / others as f64;
        let weight = |(head, &held): (usize, &usize)| if head < whole { held as f64 } else { share };
        held.iter().enumerate().map(weight).collect()
    }
}
