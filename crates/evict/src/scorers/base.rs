use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ALL, Scorer};
use crate::{
    options,
    registry::{Method, find},
    spec::{self, Written},
};

/// Scorers that can be the first of two stages: their scores are never negative, so that a
/// factor at least 0 keeps its sense, and they know nothing of the future.
const BASES: [&str; 6] =
    ["window-attention", "accumulated-attention", "tova", "expected-attention", "cake-attention", "kvzip"];

/// A scorer named by an option of another, such as `window-attention{window=64}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Base {
    spec: String,
    /// Whether it pools its group as the option `pool` says.
    pub(super) pools: bool,
    pub(super) scorer: Arc<dyn Scorer>,
}

impl Base {
    /// A scorer with its default options, of that name.
    pub(super) fn of<S: Method + Scorer>(scorer: S) -> Base {
        Base { spec: S::NAME.into(), pools: S::POOLS, scorer: Arc::new(scorer) }
    }

    /// Its name, and its options where they are not the defaults.
    pub(super) fn spec(&self) -> &str {
        &self.spec
    }
}

impl TryFrom<String> for Base {
    type Error = String;
    fn try_from(spec: String) -> Result<Base, String> {
        let parts = spec::parse(&spec).map_err(|e| e.to_string())?;
        let entry = match &parts[..] {
            [part] if BASES.contains(&part.name.as_str()) => find(ALL, &part.name).map(|entry| (entry, part)),
            _ => None,
        };
        let Some((entry, part)) = entry else {
            return Err(format!("the first stage is one of {}", BASES.join(", ")));
        };
        let defaults = (entry.defaults)();
        let built = options::refuse_unknown(entry.name, &part.options, &defaults).and_then(|()| {
            let spec = Written::of(entry.name, &defaults, &(entry.complete)(&part.options)?).short;
            Ok(Base { spec, pools: entry.pools, scorer: (entry.build)(&part.options)? })
        });
        built.map_err(|e| e.to_string())
    }
}

impl From<Base> for String {
    fn from(base: Base) -> String {
        base.spec
    }
}
