//! What a row is of, in sixteen hex digits.

use std::fmt::Write;

use bitkv_evict::Plan;
use bitkv_kernels::Isa;
use bitkv_record::{IsaClass, Named, sha256_of_parts};

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
    pub(super) fn new(job: &Job, grid: &Grid) -> Keys {
        let files: Vec<&str> = grid
            .models
            .iter()
            .filter(|entry| entry.name == job.loaded.name)
            .flat_map(|entry| entry.files.iter().map(|file| file.sha256.as_str()))
            .collect();
        let parts = [
            job.experiment.name.as_str(),
            &job.loaded.name,
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
