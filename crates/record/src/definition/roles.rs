//! Checks that an experiment lists its reference policies. Only a registry knows the roles of policies.

use super::keys::Place;
use super::{Definition, Experiment};
use crate::{DefinitionError, MetricGroup, PolicyRole, PolicyText, RecordError, When};

/// Returns the role of a policy specification, or `None` if the policy is unknown.
type RoleOf<'r> = dyn Fn(&str) -> Option<PolicyRole> + 'r;

impl Definition {
    /// Checks that every experiment lists its controls: the full cache, random choice with uniform budgets,
    /// and an oracle if a cell evicts once. Experiments with `controls = false` are exempt. `role_of` returns
    /// the role of a policy specification.
    ///
    /// # Errors
    /// Fails if a control is missing. The message names the experiment and the policies to add.
    pub fn check_roles(&self, role_of: impl Fn(&str) -> Option<PolicyRole>) -> Result<(), RecordError> {
        let file = Place::file(&self.file);
        self.experiments.iter().try_for_each(|experiment| {
            let checked = controls(experiment, &role_of).and_then(|()| form(experiment, &role_of));
            checked.map_err(|reason| file.in_section("experiment", &experiment.name).refuse(reason))
        })
    }
}

/// Checks that an experiment with controls lists all of them.
pub(super) fn controls(experiment: &Experiment, role_of: &RoleOf<'_>) -> Result<(), DefinitionError> {
    if !experiment.controls {
        return Ok(());
    }
    let known: Vec<(&String, PolicyRole)> =
        experiment.policies.iter().filter_map(|text| Some((text, role_of(text)?))).collect();
    let lacks = |wanted| known.iter().all(|(_, role)| *role != wanted);
    // Reports subtract this policy from every other one. Another allocator would add its own effect to the
    // difference.
    let is_random = |(text, role): &(&String, PolicyRole)| {
        *role == PolicyRole::Control && PolicyText::new(text).is_random_choice()
    };
    // An oracle reads the attention of later tokens, which is observed only if a cell evicts once.
    let has_future = experiment.axes.when.contains(&When::ONCE);
    let controls = [
        (lacks(PolicyRole::Full), ("the full cache", "\"full\"")),
        (!known.iter().any(is_random), ("random choice with uniform budgets", "\"uniform+random\"")),
        (lacks(PolicyRole::Oracle) && has_future, ("an oracle", "\"uniform+oracle\"")),
    ];
    let lacking = controls.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, control)| control);
    let (lacking, examples): (Vec<_>, Vec<_>) = lacking.unzip();
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(DefinitionError::NoControl { lacking, examples }),
    }
}

/// Checks that an experiment with the metric `form` lists the full cache, on which forms are compared.
pub(super) fn form(experiment: &Experiment, role_of: &RoleOf<'_>) -> Result<(), DefinitionError> {
    let is_full = |text: &String| role_of(text) == Some(PolicyRole::Full);
    match experiment.metrics.contains(&MetricGroup::Form) && !experiment.policies.iter().any(is_full) {
        true => Err(DefinitionError::FormWithoutFull),
        false => Ok(()),
    }
}
