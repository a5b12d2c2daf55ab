//! A scorer that is an option of another scorer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    accumulated_attention::AccumulatedAttention, cake_attention::CakeAttention,
    expected_attention::ExpectedAttention, kvzip::Kvzip, tova::Tova, window_attention::WindowAttention,
};
use crate::{
    Method, Reason, Scorer,
    entry::{Configured, Entry},
    options,
    spec::{self, SpecTexts},
};

/// Returns the scorers that can be the first of two stages. Their scores are never negative, so that
/// multiplying by a non-negative factor keeps its meaning, and they do not look ahead.
fn bases() -> [Entry<dyn Scorer>; 6] {
    [
        Entry::scorer::<WindowAttention>(),
        Entry::scorer::<AccumulatedAttention>(),
        Entry::scorer::<Tova>(),
        Entry::scorer::<ExpectedAttention>(),
        Entry::scorer::<CakeAttention>(),
        Entry::scorer::<Kvzip>(),
    ]
}

/// A scorer that is an option of another scorer, such as `window-attention{window=64}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseScorer {
    spec: String,
    /// Whether the scorer pools its group by the option `pool`.
    pub(super) pools: bool,
    pub(super) scorer: Arc<dyn Scorer>,
}

impl BaseScorer {
    /// Returns a scorer with its default options.
    pub(super) fn with_defaults<S: Method + Scorer>() -> BaseScorer {
        BaseScorer { spec: S::NAME.into(), pools: S::POOLS, scorer: Arc::new(S::default()) }
    }

    /// Returns the name of the scorer, and the options that differ from their defaults.
    pub fn spec(&self) -> &str {
        &self.spec
    }
}

impl TryFrom<String> for BaseScorer {
    type Error = Reason;
    fn try_from(spec: String) -> Result<BaseScorer, Reason> {
        let parts = spec::parse(&spec).map_err(|e| e.to_string())?;
        let named = |part: &spec::SpecPart| bases().into_iter().find(|base| base.metadata.name == part.name);
        let found = match &parts[..] {
            [part] => named(part).map(|base| (base, part)),
            _ => None,
        };
        let Some((entry, part)) = found else {
            let names = bases().map(|base| base.metadata.name).join(", ");
            return Err(format!("the first stage must be one of {names}").into());
        };
        let made = options::refuse_unknown(entry.metadata.name, &part.options, &entry.own_defaults)
            .and_then(|()| entry.read(&part.options));
        let Configured { metadata, defaults, options, method, .. } = made.map_err(|e| e.to_string())?;
        let spec = SpecTexts::new(metadata.name, &defaults, &options).short;
        Ok(BaseScorer { spec, pools: metadata.pools, scorer: method })
    }
}

impl From<BaseScorer> for String {
    fn from(base: BaseScorer) -> String {
        base.spec
    }
}
