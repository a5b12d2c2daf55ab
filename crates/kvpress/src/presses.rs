//! The list of presses. Each is a [`Rule`] of `bitkv-evict`.

use bitkv_evict::{Budget, Error, Memo, Observation, Plan, Reason, Registry, Rule};

use crate::{
    adakv::{AdaExpectedAttentionE2, AdaKv},
    block::BlockKeyDiff,
    chunkkv::ChunkKv,
    critical::CriticalKv,
    critical_adakv::CriticalAdaKv,
    cur::Cur,
    expected_attention::{ExpectedAttention, Future},
    keydiff::KeyDiff,
    knorm::Knorm,
    lagkv::LagKv,
    layer::Layer,
    observed_attention::ObservedAttention,
    press::Press,
    pyramidkv::PyramidKv,
    score_cache::ScoreCache,
    snapkv::SnapKv,
    streaming_llm::StreamingLlm,
    tova::Tova,
    undecided::TieNotes,
};

/// Implements [`Rule`] for each press and defines the function that adds them to a registry, in the order of
/// reports.
macro_rules! presses {
    ($($press:ty),+ $(,)?) => {
        /// Adds every press of kvpress to `registry`, named `kvpress:NAME`.
        ///
        /// # Errors
        /// Returns an error if the registry already has a method with one of these names.
        pub fn presses(registry: Registry) -> Result<Registry, Error> {
            $(let registry = registry.with_rule::<$press>()?;)+
            Ok(registry)
        }

        $(impl Rule for $press {
            fn conserves(&self) -> bool {
                Press::conserves(self)
            }

            fn plan(&self, seen: &Observation<'_>, budget: Budget, memo: &Memo) -> Result<Plan, Reason> {
                plan(self, seen, budget, memo)
            }
        })+
    };
}

presses! {
    StreamingLlm,
    Knorm,
    KeyDiff,
    BlockKeyDiff,
    Tova,
    ObservedAttention,
    SnapKv,
    PyramidKv,
    ChunkKv,
    ExpectedAttention,
    LagKv,
    Cur,
    CriticalKv<SnapKv>,
    CriticalKv<Future>,
    AdaKv<SnapKv>,
    AdaKv<Knorm>,
    AdaKv<ExpectedAttention>,
    AdaExpectedAttentionE2,
    CriticalAdaKv<SnapKv>,
    CriticalAdaKv<Future>,
}

/// Plans a cache with a press, layer by layer.
fn plan(press: &impl Press, seen: &Observation<'_>, budget: Budget, memo: &Memo) -> Result<Plan, Reason> {
    let shape = seen.shape;
    if budget.per_head(shape) >= shape.tokens {
        return Ok(Plan::everything(shape));
    }
    let (score_cache, notes) = (memo.get::<ScoreCache>(), memo.get::<TieNotes>());
    let mut kept = Vec::with_capacity(shape.all_kv_heads());
    for index in 0..shape.layers {
        let mut ties = notes.ties(shape);
        kept.extend(press.compress(&Layer::new(seen, index, budget, &score_cache), &mut ties)?);
        notes.note(ties);
    }
    // kvpress gives every layer the same budget. The remainder of the division by all heads is not spent.
    Ok(Plan::from_kv_heads(shape, budget.per_head(shape) * shape.all_kv_heads(), kept))
}
