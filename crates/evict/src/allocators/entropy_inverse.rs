use serde::{Deserialize, Serialize};

use super::{Allocator, Division};
use crate::{
    Group, Need, Needs,
    options::Options,
    registry::{Method, Role},
};

/// Keeps the weight of a head of zero entropy finite: such a head gets at most eleven
/// times the share of a head of one bit.
const OFFSET_BITS: f64 = 0.1;

/// In inverse proportion to the head's calibrated entropy: weight `1 / (H + 0.1)`, in
/// bits. The sign of the published verification script against that of `entropy`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct EntropyInverse {
    /// How the entropies of a group's query heads become one.
    group: Group,
}

impl Options for EntropyInverse {}

impl Method for EntropyInverse {
    const ROLE: Role = Role::Control;
    const NAME: &'static str = "entropy-inverse";
    const SOURCE: &'static str = "control of this suite";
    const DESCRIPTION: &'static str = "more tokens to heads of low calibrated entropy, as 1 / (H + 0.1 bits)";
}

impl Allocator for EntropyInverse {
    fn needs(&self) -> Needs {
        [Need::Entropy].into()
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let seen = division.observation;
        let entropy = self.group.over(seen.numbers(Need::Entropy), seen.shape.group());
        entropy.into_iter().map(|h| 1.0 / (h + OFFSET_BITS)).collect()
    }
}
