use bitkv_stats::Rng;
use serde::{Deserialize, Serialize};

use super::{Allocator, Division, entropy};
use crate::{
    Group, Need, Needs,
    options::Options,
    registry::{Method, Role},
};

/// The weights of `entropy`, each dealt to a head that it does not belong to. A gain that
/// survives this comes from unequal shares, not from knowing which head is which.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct EntropyPermuted {
    /// How the entropies of a group's query heads become one.
    group: Group,
    /// Which permutation.
    seed: u64,
}

impl Options for EntropyPermuted {}

impl Method for EntropyPermuted {
    const ROLE: Role = Role::Control;
    const NAME: &'static str = "entropy-permuted";
    const SOURCE: &'static str = "control of this suite";
    const DESCRIPTION: &'static str = "the shares of `entropy`, every one dealt to a wrong head";
}

impl Allocator for EntropyPermuted {
    fn needs(&self) -> Needs {
        [Need::Entropy].into()
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let mut weights = entropy::weights(division, self.group);
        Rng::new(self.seed).displace(&mut weights);
        weights
    }
}
