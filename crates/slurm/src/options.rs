//! What the user chooses about the jobs.

use crate::{Error, Plan, Result, time_limit};

/// What the user chooses about the jobs. An empty option is left to the cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// The partition of the jobs.
    pub partition: Option<String>,
    /// The account that pays for the jobs.
    pub account: Option<String>,
    /// The quality of service of the jobs.
    pub qos: Option<String>,
    /// The features that nodes must have.
    pub constraint: Option<String>,
    /// The nodes to use.
    pub nodelist: Option<String>,
    /// The nodes not to use.
    pub exclude: Option<String>,
    /// The time limit of a task, as Slurm reads it. `None` computes it from the plan.
    pub time: Option<String>,
    /// The memory of a task, as Slurm reads it, such as `8G`. `None` computes it from the plan.
    pub mem: Option<String>,
    /// The CPUs of a task.
    pub cpus: usize,
    /// The number of tasks that run at the same time. `None` runs all.
    pub array_limit: Option<usize>,
    /// The seconds before the time limit at which a task is asked to stop and is put into the queue again.
    pub signal_before: u64,
    /// How often Slurm may restart a task before it stays stopped.
    pub restarts: usize,
    /// More options of `sbatch` for the tasks: `--name` or `--name=value`.
    pub sbatch: Vec<String>,
    /// Whether the shards share prefilled contexts and entropies in the folder `snapshots`.
    pub snapshots: bool,
}

impl Options {
    /// Returns the options of both jobs that have a value, with their names.
    pub(crate) fn placement(&self) -> Vec<(&'static str, &str)> {
        let options = [
            ("--partition", &self.partition),
            ("--account", &self.account),
            ("--qos", &self.qos),
            ("--constraint", &self.constraint),
            ("--nodelist", &self.nodelist),
            ("--exclude", &self.exclude),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }

    /// Checks the values before anything is written.
    ///
    /// # Errors
    /// When a value cannot be in a script, the time limit is not a time, an option for `sbatch` does not
    /// begin with `--`, or the signal would come before a task has worked.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        let texts = self.placement().into_iter().chain(self.mem.as_deref().map(|mem| ("--mem", mem)));
        for (option, value) in texts.chain(self.sbatch.iter().map(|value| ("--sbatch", value.as_str()))) {
            if value.is_empty() || value.chars().any(char::is_control) {
                return Err(Error::Value { option, value: value.to_owned() });
            }
        }
        let wrong = |value: &&String| !value.starts_with("--") || value.len() < 3;
        if let Some(value) = self.sbatch.iter().find(wrong) {
            return Err(Error::NotAnOption { value: value.clone() });
        }
        match self.limit_seconds(plan)? {
            Some(limit_seconds) if limit_seconds <= self.signal_before => {
                Err(Error::SignalBefore { seconds: self.signal_before, limit_seconds })
            }
            _ => Ok(()),
        }
    }

    /// Returns the time limit of a task in seconds; `None` if it is unlimited.
    fn limit_seconds(&self, plan: &Plan) -> Result<Option<u64>> {
        match &self.time {
            None => Ok(Some(60 * plan.limit_minutes())),
            Some(text) if time_limit::is_unlimited(text) => Ok(None),
            Some(text) => match time_limit::seconds(text) {
                Some(seconds) if seconds > 0 => Ok(Some(seconds)),
                _ => Err(Error::TimeLimit { value: text.clone() }),
            },
        }
    }
}
