//! Finds the gaps of a definition that concern policies, budgets, texts and models, before any model is
//! loaded or downloaded, so that they are reported together with those of the file.

use bitkv_evict::Registry;
use bitkv_models::{Source, may_download};
use bitkv_record::{Draft, Experiment};

use super::{
    job::{budget_rules, parse_policies, with_seeds},
    sources::read_texts,
};
use crate::registry::role_of;

/// Adds the gaps of the experiments that are run. `only` has their names; it is empty if all are run.
/// `registry` has the policies that they may name.
pub(super) fn add(draft: &mut Draft, only: &[String], registry: &Registry) {
    draft.check_roles(|text| role_of(registry, text));
    let mut check = |keys: &[&str], gaps_of: &dyn Fn(&Experiment) -> Vec<String>| {
        let is_run = |experiment: &Experiment| only.is_empty() || only.contains(&experiment.name);
        draft.check(keys, |experiment| if is_run(experiment) { gaps_of(experiment) } else { Vec::new() });
    };
    check(&["policies", "seeds", "draws"], &|experiment| policies(experiment, registry));
    check(&["budgets"], &|experiment| reason(budget_rules(experiment, registry)));
    check(&["texts"], &|experiment| reason(read_texts(&experiment.texts)));
    check(&["models"], &models);
}

/// Returns a clause for each policy that cannot be parsed, or else for the first that does not fit the
/// others.
fn policies(experiment: &Experiment, registry: &Registry) -> Vec<String> {
    let unknown = experiment.policies.iter().filter_map(|text| {
        let error = with_seeds(text, &[(0, 0)], registry).err()?;
        Some(format!("policies lists `{text}`: {error}"))
    });
    let unknown: Vec<String> = unknown.collect();
    if unknown.is_empty() { reason(parse_policies(experiment, registry)) } else { unknown }
}

/// Returns a clause for each model that is not here. Those of the hub are found when they are downloaded.
fn models(experiment: &Experiment) -> Vec<String> {
    let here = experiment.models.iter().map(|listed| &listed.model).filter(|model| !may_download(model));
    here.filter_map(|model| Some(format!("models: {}", Source::find(model).err()?))).collect()
}

/// Returns the reason of an error; empty if the result is a value.
fn reason<T>(result: crate::Result<T>) -> Vec<String> {
    result.err().map(|error| error.to_string()).into_iter().collect()
}
