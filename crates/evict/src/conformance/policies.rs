//! Checks of policies: allocators joined to scorers, and rules.

use super::{
    caches::Cache,
    failure::{Expectation, Failure, Findings, findings},
};
use crate::{Budget, Error, Needs, Observation, Plan, Planner, Policy};

/// The failures of a policy; `needs` are those of everything around it.
pub(super) fn check(policy: &Policy, needs: &Needs, planners: &[Planned<'_>]) -> Vec<Failure> {
    findings(policy.spec(), |findings| {
        let is_rule = policy.guard().is_none();
        let mut plans = 0;
        for Planned { cache, view, planner } in planners {
            for budget in budgets() {
                let (own, shared) = (policy.plan(view, budget), planner.plan(policy, budget));
                findings.expect(Expectation::Independent, own == shared, || {
                    format!("{} was planned in another way after other plans", cache.name)
                });
                match own {
                    Ok(plan) => {
                        plans += 1;
                        sets(findings, cache, view, &plan);
                        spent(findings, policy, cache, view, &plan, budget);
                    }
                    // A rule plans whole caches only, and may refuse others.
                    Err(Error::Ragged { .. } | Error::Impossible { .. }) if is_rule => {}
                    Err(error) => findings.expect(Expectation::Plannable, false, || {
                        format!("{} has no plan: {error}", cache.name)
                    }),
                }
            }
        }
        findings.expect(Expectation::Plannable, plans > 0, || "it refuses all that were tried".into());
        if is_rule {
            declared(findings, policy, needs);
        }
    })
}

/// A cache with a planner that all policies share.
pub(super) struct Planned<'a> {
    pub(super) cache: &'a Cache,
    pub(super) view: &'a Observation<'a>,
    pub(super) planner: Planner<'a>,
}

/// Returns three budgets: a third, two tokens (too few for most guards), and everything.
fn budgets() -> Vec<Budget> {
    let parts = [Budget::fraction(0.33), Budget::tokens(2), Ok(Budget::FULL)];
    parts.into_iter().flatten().collect()
}

fn sets(findings: &mut Findings, cache: &Cache, seen: &Observation<'_>, plan: &Plan) {
    let shape = plan.shape();
    for index in 0..shape.all_kv_heads() {
        let kept = plan.kept(index / shape.kv_heads, index % shape.kv_heads);
        let held = seen.held_positions(index);
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
            format!("query head {query_head} of {} attends to what its KV head does not keep", cache.name)
        });
    }
}

fn spent(
    findings: &mut Findings,
    policy: &Policy,
    cache: &Cache,
    seen: &Observation<'_>,
    plan: &Plan,
    budget: Budget,
) {
    let held: usize = (0..seen.shape.all_kv_heads()).map(|head| seen.held(head)).sum();
    let asked = budget.total(seen.shape).min(held);
    let kept = plan.total();
    findings.expect(Expectation::Budget, !policy.conserves() || kept == asked, || {
        format!("{kept} of {} were kept where {asked} were asked for", cache.name)
    });
    // A rule that does not conserve its budget may keep less than everything.
    let everything = !policy.conserves() || !budget.is_full() || kept == held;
    findings.expect(Expectation::Everything, everything, || {
        format!("{kept} of {held} were kept of {}", cache.name)
    });
}

/// What a rule may read. Of an allocator and a scorer the same is known of each.
fn declared(findings: &mut Findings, policy: &Policy, needs: &Needs) {
    let own = policy.needs();
    for cache in Cache::several(needs).iter().filter(|cache| cache.view().is_whole()) {
        let redrawn = cache.redrawn_but(&own);
        let plan =
            |seen: &Observation<'_>| Budget::fraction(0.33).and_then(|budget| policy.plan(seen, budget));
        let found = plan(&cache.view());
        let unchanged = found == plan(&redrawn.view()) && found == plan(&cache.view().only(&own));
        findings.expect(Expectation::DeclaredNeeds, unchanged, || {
            format!("plans of {} change with something else; declare it in `needs`", cache.name)
        });
    }
}
