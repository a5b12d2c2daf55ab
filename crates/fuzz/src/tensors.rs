//! Files of queries, keys and values, as `bitkv plan --tensors` reads them.

use std::sync::LazyLock;

use bitkv_evict::{Budget, Needs, Planner, Policy};
use bitkv_lab::{observation::Calibration, tensors::Tensors};

use crate::{accepted, with_file};

/// A policy that reads queries, keys and values.
static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse("uniform+window-attention").expect("a policy"));

/// The most bytes of an input for which a plan is made, so that an input takes milliseconds.
const PLANNED: usize = 1 << 16;

/// Opens a file and makes a plan.
pub(crate) fn read(bytes: &[u8]) {
    with_file("tensors.safetensors", bytes, |path| {
        let Some(tensors) = accepted(Tensors::open(path)) else { return };
        let needs = Needs::default().union(POLICY.needs());
        let observation = tensors.observation(&needs, Calibration::default());
        let Some(observation) = accepted(observation).filter(|_| bytes.len() <= PLANNED) else { return };
        let view = observation.view();
        let budget = Budget::fraction(0.5).expect("a budget");
        accepted(Planner::new(&view).plan(&POLICY, budget));
    });
}
