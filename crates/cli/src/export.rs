//! What an engine needs to evict as a policy says.

use bitkv_evict::{Plan, Policy};
use bitkv_record::{PlanExport, ShareExport};

/// The tokens that every KV head may keep by `plan`, without saying which.
pub(crate) fn budgets(model: &str, policy: &Policy, part: f64, plan: &Plan) -> PlanExport {
    let shape = plan.shape();
    let share = |i: usize| {
        let (layer, kv_head) = (i / shape.kv_heads, i % shape.kv_heads);
        ShareExport { layer, kv_head, budget: plan.kept(layer, kv_head).len(), kept: Vec::new() }
    };
    PlanExport {
        model: model.to_owned(),
        policy: policy.explicit_spec().to_owned(),
        budget: part,
        tokens: shape.tokens,
        n_layer: shape.layers,
        n_head: shape.query_heads,
        n_head_kv: shape.kv_heads,
        heads: (0..shape.all_kv_heads()).map(share).collect(),
    }
}

/// The same with the positions that are kept.
pub(crate) fn positions(model: &str, policy: &Policy, part: f64, plan: &Plan) -> PlanExport {
    let mut export = budgets(model, policy, part, plan);
    for share in &mut export.heads {
        share.kept = plan.kept(share.layer, share.kv_head).to_vec();
    }
    export
}
