//! Checks of policies: allocators joined to scorers, and rules.

use super::{
    caches::Cache,
    failure::{Expectation, Failure, Findings, findings},
};
use crate::{Budget, Error, Needs, Observation, Plan, Planner, Policy};

/// Returns the failures of a policy. `needs` are the needs of all methods that are checked.
pub(super) fn check(policy: &Policy, needs: &Needs, planners: &[PlannedCache<'_>]) -> Vec<Failure> {
    findings(policy.spec(), |findings| {
        let is_rule = policy.guard().is_none();
        let mut plans = 0;
        for PlannedCache { cache, view, planner } in planners {
            for budget in budgets() {
                let (alone, shared) = (policy.plan(view, budget), planner.plan(policy, budget));
                findings.expect(Expectation::Independent, alone == shared, || {
                    format!("the plan for {} changed after other plans", cache.name)
                });
                match alone {
                    Ok(plan) => {
                        plans += 1;
                        check_positions(findings, cache, view, &plan);
                        check_budget(findings, policy, cache, view, &plan, budget);
                    }
                    // A rule plans whole caches only, and may refuse others.
                    Err(Error::Ragged { .. } | Error::Impossible { .. }) if is_rule => {}
                    Err(error) => findings.expect(Expectation::Plannable, false, || {
                        format!("planning {} failed: {error}", cache.name)
                    }),
                }
            }
        }
        findings.expect(Expectation::Plannable, plans > 0, || "it refused every cache that was tried".into());
        if is_rule {
            check_needs(findings, policy, needs);
        }
    })
}

/// A cache with a planner that all policies share.
pub(super) struct PlannedCache<'a> {
    pub(super) cache: &'a Cache,
    pub(super) view: &'a Observation<'a>,
    pub(super) planner: Planner<'a>,
}

/// Returns three budgets: a third, two tokens (too few for most guards), and everything.
fn budgets() -> Vec<Budget> {
    let parts = [Budget::fraction(0.33), Budget::tokens(2), Ok(Budget::FULL)];
    parts.into_iter().flatten().collect()
}

fn check_positions(findings: &mut Findings, cache: &Cache, observation: &Observation<'_>, plan: &Plan) {
    let shape = plan.shape();
    for index in 0..shape.all_kv_heads() {
        let kept = plan.kept(index / shape.kv_heads, index % shape.kv_heads);
        let held = observation.held_positions(index);
        let are_held = kept.iter().all(|position| held.binary_search(position).is_ok());
        let ascend = !kept.is_empty() && kept.is_sorted_by(|a, b| a < b);
        findings.expect(Expectation::HeldPositions, ascend && are_held, || {
            format!("KV head {index} of {} keeps {kept:?}", cache.name)
        });
    }
    for query_head in 0..shape.all_query_heads() {
        let (layer, head) = (query_head / shape.query_heads, query_head % shape.query_heads);
        let stored = plan.kept(layer, head / shape.group());
        let stored = plan.query_kept(layer, head).iter().all(|position| stored.contains(position));
        findings.expect(Expectation::HeldPositions, stored, || {
            format!(
                "query head {query_head} of {} attends to a position that its KV head does not keep",
                cache.name
            )
        });
    }
}

fn check_budget(
    findings: &mut Findings,
    policy: &Policy,
    cache: &Cache,
    observation: &Observation<'_>,
    plan: &Plan,
    budget: Budget,
) {
    let held: usize = (0..observation.shape.all_kv_heads()).map(|head| observation.held(head)).sum();
    let asked = budget.total(observation.shape).min(held);
    let kept = plan.total();
    findings.expect(Expectation::Budget, !policy.conserves() || kept == asked, || {
        format!("the plan for {} keeps {kept} tokens instead of {asked}", cache.name)
    });
    // A rule that does not conserve its budget may keep less than everything.
    let everything = !policy.conserves() || !budget.is_full() || kept == held;
    findings.expect(Expectation::Everything, everything, || {
        format!("the plan for {} keeps {kept} of {held} tokens", cache.name)
    });
}

/// Checks that a rule reads only what it declares. For an allocator and a scorer this is checked separately.
fn check_needs(findings: &mut Findings, policy: &Policy, needs: &Needs) {
    let declared = policy.needs();
    for cache in Cache::several(needs).iter().filter(|cache| cache.view().is_whole()) {
        let redrawn = cache.with_others_redrawn(&declared);
        let plan = |observation: &Observation<'_>| {
            Budget::fraction(0.33).and_then(|budget| policy.plan(observation, budget))
        };
        let found = plan(&cache.view());
        let unchanged = found == plan(&redrawn.view()) && found == plan(&cache.view().only(&declared));
        findings.expect(Expectation::DeclaredNeeds, unchanged, || {
            format!(
                "plans for {} change with observations that are not declared; declare them in `needs`",
                cache.name
            )
        });
    }
}
