//! Checks that every scorer, allocator and rule must pass, whoever wrote it.
//!
//! Call [`check`] with a registry that holds your method: it checks every method of the registry and every
//! pair of an allocator and a scorer on small random caches. [`check_scorer`] and [`check_allocator`] check
//! one method with the options that you give. Each returns the [`Failure`]s found, and a failure says what to
//! change. [`Expectation`] lists everything that is checked. In a test:
//!
//! ```
//! use bitkv_evict::{Head, Registry, Scorer, conformance, method};
//!
//! method! {
//!     /// Keeps the tokens nearest to the middle of the text, but mistakes rows for positions.
//!     pub struct Middle {}
//!     "middle" from "this example", "Keeps the tokens nearest to the middle."
//! }
//!
//! impl Scorer for Middle {
//!     fn score(&self, head: &Head<'_>, out: &mut [f32]) {
//!         let middle = head.tokens_seen() as f32 / 2.0;
//!         out.iter_mut().enumerate().for_each(|(row, score)| *score = -(row as f32 - middle).abs());
//!     }
//! }
//!
//! let registry = Registry::standard().with_scorer::<Middle>()?;
//! let failures: Vec<String> = conformance::check(&registry).iter().map(ToString::to_string).collect();
//! assert_eq!(
//!     failures[0],
//!     "`middle`: a score must depend on the position of a token, not on its row, but the order of \
//!      identical tokens changes when other tokens are evicted; read `Head::positions`, or implement \
//!      `regroups` if rows are meant"
//! );
//! let second = "`adaptive+middle`: heads can compete only by scores that differ between heads";
//! assert!(failures[1].starts_with(second));
//! # Ok::<(), bitkv_evict::Error>(())
//! ```

mod allocators;
mod caches;
mod failure;
mod policies;
mod scorers;

pub use failure::{Expectation, Failure};

use crate::{
    Allocator, Error, Method, Needs, Observation, Planner, Policy, Registry, Scorer, entry::Configured,
};
use caches::{Cache, usual_needs};
use failure::findings;
use policies::PlannedCache;

/// Checks all methods of a registry with their default options, and every allocator joined to every scorer.
/// Returns the failures. The checks take seconds.
pub fn check(registry: &Registry) -> Vec<Failure> {
    let (methods, needs) = (registry.methods(), all_needs(registry));
    let mut failures = Vec::new();
    for entry in &methods.scorers {
        failures.extend(scorers::check(entry.metadata, &*entry.default_method, &needs));
    }
    for entry in &methods.allocators {
        failures.extend(allocators::check(entry.metadata.name, &*entry.default_method, &needs));
    }
    // An invalid pair is not a policy. Every name is known, so there are no other errors.
    let policies: Vec<Policy> =
        specs(registry).iter().filter_map(|spec| registry.policy(spec).ok()).collect();
    failures.extend(check_comparisons(registry, &needs));
    failures.extend(check_plans(&policies, &needs));
    failures
}

/// Checks a scorer with the options given, without joining it to an allocator. Returns the failures.
///
/// # Errors
/// Fails if an option has an invalid value.
pub fn check_scorer<S: Method + Scorer>(scorer: S) -> Result<Vec<Failure>, Error> {
    let Configured { metadata, method, .. } = Configured::scorer(scorer)?;
    let needs = usual_needs().union(method.needs());
    let mut failures = scorers::check(metadata, &*method, &needs);
    failures.extend(check_comparable(metadata.name, &*method, &needs));
    Ok(failures)
}

/// Checks an allocator with the options given, without joining it to a scorer. Returns the failures.
///
/// # Errors
/// Fails if an option has an invalid value.
pub fn check_allocator<A: Method + Allocator>(allocator: A) -> Result<Vec<Failure>, Error> {
    let Configured { metadata, method, .. } = Configured::allocator(allocator)?;
    let needs = usual_needs().union(method.needs());
    Ok(allocators::check(metadata.name, &*method, &needs))
}

fn all_needs(registry: &Registry) -> Needs {
    let methods = registry.methods();
    let allocators = methods.allocators.iter().map(|entry| entry.default_method.needs());
    let scorers = methods.scorers.iter().map(|entry| entry.default_method.needs());
    let rules = methods.rules.iter().map(|entry| entry.default_method.needs());
    allocators.chain(scorers).chain(rules).fold(usual_needs(), Needs::union)
}

/// Returns the specification of every pair of an allocator and a scorer, and of every rule.
fn specs(registry: &Registry) -> Vec<String> {
    let methods = registry.methods();
    let scorers: Vec<&str> = methods.scorers.iter().map(|entry| entry.metadata.name).collect();
    let join =
        |allocator: &str| scorers.iter().map(|scorer| format!("{allocator}+{scorer}")).collect::<Vec<_>>();
    let pairs = methods.allocators.iter().flat_map(|entry| join(entry.metadata.name));
    pairs.chain(methods.rules.iter().map(|entry| entry.metadata.name.to_owned())).collect()
}

/// Returns a failure for every pair whose allocator compares heads and whose scorer scores all heads alike.
fn check_comparisons(registry: &Registry, needs: &Needs) -> Vec<Failure> {
    let methods = registry.methods();
    let comparing: Vec<&str> = methods
        .allocators
        .iter()
        .filter(|entry| entry.default_method.compares())
        .map(|entry| entry.metadata.name)
        .collect();
    let mut failures = Vec::new();
    for scorer in &methods.scorers {
        let found = check_comparable(scorer.metadata.name, &*scorer.default_method, needs);
        for allocator in &comparing {
            let pair = format!("{allocator}+{}", scorer.metadata.name);
            failures.extend(found.iter().map(|failure| Failure { policy: pair.clone(), ..failure.clone() }));
        }
    }
    failures
}

/// Checks that a scorer's scores differ between heads, unless it declares that they are incomparable.
fn check_comparable(name: &str, scorer: &dyn Scorer, needs: &Needs) -> Vec<Failure> {
    findings(name, |findings| {
        let alike = scorer.incomparable().is_none() && scorers::scores_all_heads_alike(scorer, needs);
        findings.expect(Expectation::Comparable, !alike, || {
            "all heads of a layer get the same scores; implement `incomparable`".into()
        });
    })
}

/// Checks the plans of policies for caches that all of them share.
fn check_plans(policies: &[Policy], needs: &Needs) -> Vec<Failure> {
    let caches = Cache::several(needs);
    let views: Vec<Observation<'_>> = caches.iter().map(Cache::view).collect();
    let planned = caches.iter().zip(&views);
    let planned: Vec<PlannedCache<'_>> =
        planned.map(|(cache, view)| PlannedCache { cache, view, planner: Planner::new(view) }).collect();
    policies.iter().flat_map(|policy| policies::check(policy, needs, &planned)).collect()
}
