//! Keys of rows: 16 hex digits that identify everything that the numbers of a row depend on.

use std::fmt::Write;

use bitkv_evict::Plan;
use bitkv_kernels::{Isa, dense::Instructions};
use bitkv_models::LoadedModel;
use bitkv_record::{IsaClass, Named, sha256_of_parts};

use super::{
    job::{Cell, Grid, Job},
    unit::{QuestionGroup, Unit},
};

const DIGITS: usize = 16;

/// Makes the keys of a job's rows. A key is the same as long as everything that the row's numbers depend on
/// is the same.
pub(super) struct Keys {
    /// The hash of everything that all rows of the job depend on.
    job: String,
}

impl Keys {
    /// Hashes what all rows of a job share: the experiment, its metrics, the model and how it is read, the
    /// calibration, the code and the class of instruction sets.
    pub(super) fn new(job: &Job, grid: &Grid) -> Keys {
        let files: Vec<&str> = grid
            .models
            .iter()
            .filter(|entry| entry.name == job.loaded.name)
            .flat_map(|entry| entry.files.iter().map(|file| file.sha256.as_str()))
            .collect();
        let mut metrics: Vec<&str> = job.experiment.metrics.iter().map(|metric| metric.name()).collect();
        metrics.sort_unstable();
        let parts = [
            job.experiment.name.as_str(),
            &metrics.join(" "),
            &job.loaded.name,
            &files.join(" "),
            &grid.reading(),
            &job.calibration.fingerprint,
            &grid.code,
            isa_class(&job.loaded).name(),
        ];
        Keys { job: sha256_of_parts(parts) }
    }

    /// Returns the keys of the rows of one unit.
    pub(super) fn unit(&self, unit: &Unit) -> UnitKeys {
        let tokens: Vec<String> = unit.tokens().iter().map(u32::to_string).collect();
        let (context, task) = (unit.context.len().to_string(), unit.task.to_string());
        UnitKeys {
            unit: sha256_of_parts([
                self.job.as_str(),
                &unit.name,
                &unit.register,
                &task,
                &context,
                &tokens.join(" "),
            ]),
        }
    }
}

/// Makes the keys of the rows of one unit.
pub(super) struct UnitKeys {
    /// The hash of the job and of the unit.
    unit: String,
}

impl UnitKeys {
    /// Returns the key of the row of a cell and a group of questions.
    pub(super) fn row(&self, job: &Job, cell: &Cell, group: &QuestionGroup) -> String {
        let seeded = &job.policies[cell.policy];
        let axes = cell.axes.values().into_iter().map(|(name, value)| format!("{name} {value}"));
        let parts = [
            self.unit.clone(),
            seeded.policy.explicit_spec().to_owned(),
            seeded.written.clone(),
            cell.budget.to_string(),
            job.experiment.equal.to_string(),
            format!("{:?}", group.depth),
        ];
        let mut key = sha256_of_parts(parts.into_iter().chain(axes));
        key.truncate(DIGITS);
        key
    }
}

/// Returns the class of instruction sets that run a model in this process. Numbers are the same only within a
/// class.
pub(super) fn isa_class(loaded: &LoadedModel) -> IsaClass {
    match (bitkv_kernels::isa(), loaded.model.dense_instructions()) {
        (Isa::Scalar, _) => IsaClass::Scalar,
        (_, Instructions::Vectors) => IsaClass::Vector,
        (_, Instructions::Dots) => IsaClass::Dots,
        (_, Instructions::Tiles) => IsaClass::Tiles,
    }
}

/// Returns the first 16 hex digits of a hash of the kept positions, KV head by KV head.
pub(super) fn plan_hash(plan: &Plan) -> String {
    let positions = |kept: &[u32]| {
        let mut text = String::with_capacity(6 * kept.len());
        for position in kept {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{position}");
        }
        text
    };
    let heads: Vec<String> = plan.kept_by_head().map(positions).collect();
    let mut hash = sha256_of_parts(heads.iter().map(String::as_str));
    hash.truncate(DIGITS);
    hash
}
