//! What must be true of the roles of an experiment's policies, which only a registry knows.

use super::keys::Place;
use super::{Definition, Experiment};
use crate::{DefinitionError, Metric, PolicyRole, PolicyText, RecordError};

/// Tells the role of a policy's specification, where it is known.
type RoleOf<'r> = dyn Fn(&str) -> Option<PolicyRole> + 'r;

impl Definition {
    /// Refuses an experiment without the policies that make its others worth measuring: the full cache, random choice
    /// with uniform budgets, and an oracle, unless its controls are off. `role_of` tells what a specification is.
    ///
    /// # Errors
    /// One sentence with the experiment and what it lacks.
    pub fn check_roles(&self, role_of: impl Fn(&str) -> Option<PolicyRole>) -> Result<(), RecordError> {
        let file = Place::file(&self.file);
        self.experiments.iter().try_for_each(|experiment| {
            let checked = controls(experiment, &role_of).and_then(|()| form(experiment, &role_of));
            checked.map_err(|reason| file.in_experiment(&experiment.name).refuse(reason))
        })
    }
}

fn controls(experiment: &Experiment, role_of: &RoleOf<'_>) -> Result<(), DefinitionError> {
    if !experiment.controls {
        return Ok(());
    }
    let known: Vec<(&String, PolicyRole)> =
        experiment.policies.iter().filter_map(|text| Some((text, role_of(text)?))).collect();
    let lacks = |wanted| known.iter().all(|(_, role)| *role != wanted);
    // Reports subtract it from every policy: another allocator would put its own effect into the difference.
    let is_random = |(text, role): &(&String, PolicyRole)| {
        *role == PolicyRole::Control && PolicyText::new(text).is_random_choice()
    };
    let (lacking, example) = if lacks(PolicyRole::Full) {
        ("the full cache", "full")
    } else if !known.iter().any(is_random) {
        ("random choice with uniform budgets", "uniform+random")
    } else if lacks(PolicyRole::Oracle) {
        ("an oracle", "uniform+oracle")
    } else {
        return Ok(());
    };
    Err(DefinitionError::NoControl { lacking, example })
}

/// Forms are compared on the full cache.
fn form(experiment: &Experiment, role_of: &RoleOf<'_>) -> Result<(), DefinitionError> {
    let is_full = |text: &String| role_of(text) == Some(PolicyRole::Full);
    match experiment.metrics.contains(&Metric::Form) && !experiment.policies.iter().any(is_full) {
        true => Err(DefinitionError::FormWithoutFull),
        false => Ok(()),
    }
}
