//! What a row is of, in sixteen hex digits.

use std::fmt::Write;

use bitkv_evict::{Plan, Registry};
use bitkv_kernels::Isa;
use bitkv_models::provenance;
use bitkv_record::{IsaClass, Named, Versions, sha256_file, sha256_of_parts};

use super::{
    plan::{Cell, Grid, Job},
    unit::{Group, Unit},
};

const DIGITS: usize = 16;

/// Names every row of a job: the same as long as everything that its numbers depend on is.
pub(super) struct Keys {
    job: String,
}

impl Keys {
    /// What all rows of a job share: experiment, model, how it is read, calibration, code and instruction sets.
    pub(super) fn of(job: &Job, grid: &Grid) -> Keys {
        let files: Vec<&str> = grid
            .models
            .iter()
            .filter(|entry| entry.name == job.subject.name)
            .flat_map(|entry| entry.files.iter().map(|file| file.sha256.as_str()))
            .collect();
        let parts = [
            job.experiment.name.as_str(),
            &job.subject.name,
            &files.join(" "),
            &grid.reading(),
            &job.calibration.fingerprint,
            &grid.code,
            isa_class().name(),
        ];
        Keys { job: sha256_of_parts(parts) }
    }

    /// One unit's, for [`UnitKeys::row`].
    pub(super) fn unit(&self, unit: &Unit) -> UnitKeys {
        let tokens: Vec<String> = unit.tokens().iter().map(u32::to_string).collect();
        let (context, task) = (unit.context.len().to_string(), unit.task.to_string());
        UnitKeys {
            unit: sha256_of_parts([self.job.as_str(), &unit.name, &task, &context, &tokens.join(" ")]),
        }
    }
}

/// Names the rows of one unit.
pub(super) struct UnitKeys {
    unit: String,
}

impl UnitKeys {
    /// The row of a cell and a group of questions.
    pub(super) fn row(&self, job: &Job, cell: &Cell, group: &Group) -> String {
        let seeded = &job.policies[cell.policy];
        let axes = cell.axes.values().into_iter().map(|(name, value)| format!("{name} {value}"));
        let parts = [
            self.unit.clone(),
            seeded.policy.explicit_spec().to_owned(),
            cell.budget.to_string(),
            job.experiment.equal.to_string(),
            format!("{:?}", group.depth),
        ];
        let mut key = sha256_of_parts(parts.into_iter().chain(axes));
        key.truncate(DIGITS);
        key
    }
}

/// The instruction sets that the numbers of this process hold for.
pub(super) fn isa_class() -> IsaClass {
    match bitkv_kernels::isa() {
        Isa::Scalar => IsaClass::Scalar,
        _ => IsaClass::Vector,
    }
}

/// The code that rows follow from: the revision that the suite was built from. The program's own hash is added for a
/// changed or unknown tree, and where methods of another crate were added, whose code no revision of the suite names. So
/// two builds never share rows.
pub(super) fn code(registry: &Registry) -> String {
    let Versions { revision, dirty, .. } = provenance::versions();
    if !dirty && revision != "unknown" && is_own(registry) {
        return revision;
    }
    let program = std::env::current_exe().ok().and_then(|program| sha256_file(&program).ok());
    format!("{revision}+{}", program.map_or_else(|| "unknown".to_owned(), |(hash, _)| hash))
}

/// Whether a registry holds the suite's methods and no others.
fn is_own(registry: &Registry) -> bool {
    crate::registry().is_ok_and(|own| own.listings() == registry.listings())
}

/// The first digits of a hash over kept positions, KV head by KV head.
pub(super) fn plan_hash(plan: &Plan) -> String {
    let shape = plan.shape();
    let of_head = |i: usize| {
        let mut text = String::with_capacity(6 * shape.tokens);
        for position in plan.kept(i / shape.kv_heads, i % shape.kv_heads) {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{position}");
        }
        text
    };
    let heads: Vec<String> = (0..shape.all_kv_heads()).map(of_head).collect();
    let mut hash = sha256_of_parts(heads.iter().map(String::as_str));
    hash.truncate(DIGITS);
    hash
}

#[cfg(test)]
mod tests {
    use bitkv_evict::{Head, Scorer, method};

    use super::*;

    method! {
        /// Keeps nothing in particular.
        struct Foreign {}
        "foreign" from "a test", "any tokens", pools: false
    }

    impl Scorer for Foreign {
        fn score(&self, _: &Head<'_>, out: &mut [f32]) {
            out.fill(0.0);
        }
    }

    #[test]
    fn rows_of_a_method_from_elsewhere_are_of_this_program() {
        let own = crate::registry().unwrap();
        assert!(is_own(&own));
        let other = own.with_scorer::<Foreign>().unwrap();
        assert!(!is_own(&other));
        let code = code(&other);
        let (revision, program) = code.split_once('+').unwrap();
        assert!(!revision.is_empty() && program.len() == 64, "{code}");
    }
}
