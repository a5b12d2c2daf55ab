use serde::{Deserialize, Serialize};

use super::{Allocator, Division};
use crate::{options::Options, registry::Method};

/// The same for every head.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Uniform {}

impl Options for Uniform {}

impl Method for Uniform {
    const NAME: &'static str = "uniform";
    const SOURCE: &'static str = "the usual baseline";
    const DESCRIPTION: &'static str = "as many tokens to every head";
}

impl Allocator for Uniform {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        vec![1.0; division.observation.shape.all_kv_heads()]
    }
}
