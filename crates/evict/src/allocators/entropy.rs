use serde::{Deserialize, Serialize};

use super::{Allocator, Division};
use crate::{Group, Need, Needs, options::Options, registry::Method};

/// In proportion to the head's calibrated entropy: weight `H / mean(H)`. The published
/// proportional rule without its clamp, made to conserve the budget.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Entropy {
    /// How the entropies of a group's query heads become one.
    group: Group,
}

impl Options for Entropy {}

impl Method for Entropy {
    const NAME: &'static str = "entropy";
    const SOURCE: &'static str = "microsoft/BitNet pull request 497, conserving";
    const DESCRIPTION: &'static str = "more tokens to heads of high calibrated entropy, in proportion";
}

impl Allocator for Entropy {
    fn needs(&self) -> Needs {
        [Need::Entropy].into()
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        weights(division, self.group)
    }
}

/// `H / mean(H)` for each KV head, or all zero where every entropy is.
pub(super) fn weights(division: &Division<'_>, group: Group) -> Vec<f64> {
    let seen = division.observation;
    let entropy = group.over(seen.numbers(Need::Entropy), seen.shape.group());
    let mean = entropy.iter().sum::<f64>() / entropy.len() as f64;
    let weight = |h: f64| if mean > 0.0 { h / mean } else { 0.0 };
    entropy.into_iter().map(weight).collect()
}
