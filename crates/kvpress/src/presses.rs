//! The list of presses, each a rule of `bitkv-evict`.

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
    undecided::Noted,
};

/// Declares the presses, in the order reports list them: each is made a rule and a line of a registry.
macro_rules! presses {
    ($($press:ty),+ $(,)?) => {
        /// The registry with every press of kvpress, named `kvpress:NAME`.
        ///
        /// # Errors
        /// When it has methods of these names already.
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

/// The plan of a press, layer by layer.
fn plan(press: &impl Press, seen: &Observation<'_>, budget: Budget, memo: &Memo) -> Result<Plan, Reason> {
    let shape = seen.shape;
    if budget.per_head(shape) >= shape.tokens {
        return Ok(Plan::everything(shape));
    }
    let (known, noted) = (memo.of::<ScoreCache>(), memo.of::<Noted>());
    let mut kept = Vec::with_capacity(shape.all_kv_heads());
    for index in 0..shape.layers {
        let mut ties = noted.ties(shape);
        kept.extend(press.compress(&Layer::new(seen, index, budget, &known), &mut ties)?);
        noted.note(ties);
    }
    // kvpress divides evenly among layers: what does not go into all heads is not spent.
    Ok(Plan::from_kv_heads(shape, budget.per_head(shape) * shape.all_kv_heads(), kept))
}
