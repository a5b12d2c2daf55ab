//! Exports plans, so that another inference engine can evict the tokens that a policy does not keep.

use bitkv_evict::{Budget, Need, Plan, Policy};
use bitkv_models::LoadedModel;
use bitkv_record::{PlanExport, Profile, ShareExport};

use crate::{
    Result,
    error::bail,
    observation::{self, Calibration, OwnedObservation},
};

/// Returns the number of tokens that every KV head keeps by `plan`, without the positions. `part` is the
/// fraction of the cache that was asked for.
pub fn budgets(model: &str, policy: &Policy, part: f64, plan: &Plan) -> PlanExport {
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

/// Returns the number of tokens that every KV head keeps by `plan`, with the positions.
pub fn positions(model: &str, policy: &Policy, part: f64, plan: &Plan) -> PlanExport {
    let mut export = budgets(model, policy, part, plan);
    for share in &mut export.heads {
        share.kept = plan.kept(share.layer, share.kv_head).to_vec();
    }
    export
}

/// Returns the number of tokens that every KV head keeps of a context of `tokens` tokens, by the entropies of
/// a profile.
///
/// # Errors
/// Returns an error if the policy reads more than entropies or cannot divide the budget.
pub fn from_profile(
    loaded: &LoadedModel,
    profile: &Profile,
    tokens: usize,
    policy: &Policy,
    budget: Budget,
) -> Result<PlanExport> {
    check_needs_only_entropies(policy)?;
    let calibration = Calibration::from([(Need::Entropy, profile.entropies().concat())]);
    let shape = observation::shape(loaded, tokens);
    let observation = OwnedObservation::new(shape, loaded.config().rope_theta).with_calibration(calibration);
    let plan = policy.plan(&observation.view(), budget)?;
    Ok(budgets(&loaded.name, policy, budget.kept_fraction(shape), &plan))
}

/// Checks that a policy needs only entropies, which is all that a profile has.
///
/// # Errors
/// Returns an error if the policy reads anything else.
pub fn check_needs_only_entropies(policy: &Policy) -> Result<()> {
    match policy.needs().iter().find(|need| *need != Need::Entropy) {
        Some(need) => bail!(
            Unfit,
            "{} reads {}, which a profile does not hold: give --policy one that needs only entropies, such as \
             entropy+recency, or use `bitkv plan --export` on a context",
            policy.spec(),
            need.name()
        ),
        None => Ok(()),
    }
}
