//! What NVIDIA's kvpress keeps, index for index, under its own names and with its own options,
//! defaults and arithmetic: so that its figures can be set beside ours, and our methods beside
//! its. Where a paper's own method differs, ours of another name follows the paper.
//!
//! A press reads one layer at a time. Of equal scores it keeps the first; kvpress keeps
//! whichever `torch.topk` happens to find; [`crate::Policy::undecided`] lists the positions that
//! this concerns.
//!
//! Source: <https://github.com/NVIDIA/kvpress>, versions 0.5.4 and 0.5.5, folder
//! `kvpress/presses`.

use crate::{
    Budget, Entry, Observation, Plan,
    rules::{Rule, entry},
};

mod adakv;
mod block;
mod checks;
mod chunkkv;
mod contest;
mod critical;
mod critical_adakv;
mod cur;
mod expected_attention;
mod keydiff;
mod knorm;
mod known;
mod lagkv;
mod layer;
mod observed_attention;
mod press;
mod pyramidkv;
mod snapkv;
mod streaming_llm;
mod ties;
mod tova;

use adakv::{AdaExpectedAttentionE2, AdaKv};
use critical::CriticalKv;
use critical_adakv::CriticalAdaKv;
use expected_attention::{ExpectedAttention, Future};
pub(crate) use known::Known;
use layer::Layer;
use press::Press;
use snapkv::SnapKv;
use ties::Ties;

/// Every press, in the order reports list them.
#[rustfmt::skip]
pub(crate) static ALL: &[Entry<dyn Rule>] = &[
    entry::<streaming_llm::StreamingLlm>(),
    entry::<knorm::Knorm>(),
    entry::<keydiff::KeyDiff>(),
    entry::<block::BlockKeyDiff>(),
    entry::<tova::Tova>(),
    entry::<observed_attention::ObservedAttention>(),
    entry::<SnapKv>(),
    entry::<pyramidkv::PyramidKv>(),
    entry::<chunkkv::ChunkKv>(),
    entry::<ExpectedAttention>(),
    entry::<lagkv::LagKv>(),
    entry::<cur::Cur>(),
    entry::<CriticalKv<SnapKv>>(),
    entry::<CriticalKv<Future>>(),
    entry::<AdaKv<SnapKv>>(),
    entry::<AdaKv<knorm::Knorm>>(),
    entry::<AdaKv<ExpectedAttention>>(),
    entry::<AdaExpectedAttentionE2>(),
    entry::<CriticalAdaKv<SnapKv>>(),
    entry::<CriticalAdaKv<Future>>(),
];

impl<P: Press> Rule for P {
    fn conserves(&self) -> bool {
        Press::conserves(self)
    }

    fn plan(&self, seen: &Observation<'_>, budget: Budget) -> Result<Plan, String> {
        self.plan_knowing(seen, budget, &Known::default())
    }

    fn plan_knowing(&self, seen: &Observation<'_>, budget: Budget, known: &Known) -> Result<Plan, String> {
        let shape = seen.shape;
        if budget.per_head(shape) >= shape.tokens {
            return Ok(Plan::everything(shape));
        }
        let compress = |index| self.compress(&Layer::new(seen, index, budget, known), &mut Ties::ignored());
        let kept = (0..shape.layers).map(compress).collect::<Result<Vec<_>, String>>()?;
        // kvpress divides evenly among layers: what does not go into all heads is not spent.
        let asked = budget.per_head(shape) * shape.all_kv_heads();
        Ok(Plan::of_kv_heads(shape, asked, kept.concat()))
    }

    fn undecided(
        &self,
        seen: &Observation<'_>,
        budget: Budget,
        tolerance: f32,
    ) -> Result<Vec<Vec<u32>>, String> {
        let shape = seen.shape;
        if budget.per_head(shape) >= shape.tokens {
            return Ok(vec![vec![]; shape.all_kv_heads()]);
        }
        let (known, mut undecided) = (Known::default(), Vec::with_capacity(shape.all_kv_heads()));
        for index in 0..shape.layers {
            let mut ties = Ties::within(tolerance, shape.kv_heads, shape.tokens);
            self.compress(&Layer::new(seen, index, budget, &known), &mut ties)?;
            undecided.extend(ties.positions());
        }
        Ok(undecided)
    }
}
