//! The options of `bitkv slurm submit` that say what a task gets.

use bitkv_slurm::Options;

#[derive(Debug, clap::Args)]
pub(super) struct ResourceArguments {
    /// The partition of the jobs.
    #[arg(long, value_name = "NAMES")]
    partition: Option<String>,
    /// The account that pays for the jobs.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The quality of service of the jobs.
    #[arg(long, value_name = "NAME")]
    qos: Option<String>,
    /// The features that nodes must have.
    #[arg(long, value_name = "FEATURES")]
    constraint: Option<String>,
    /// The nodes to use.
    #[arg(long, value_name = "NODES")]
    nodelist: Option<String>,
    /// The nodes not to use.
    #[arg(long, value_name = "NODES")]
    exclude: Option<String>,
    /// The time limit of a task, as Slurm reads it: minutes, 1:30:00 or 2-12 [default: twice the estimate of
    /// the longest shard, and 5 minutes].
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// The memory of a task, as Slurm reads it, such as 8G [default: 1.3 times the estimate of the largest
    /// shard, and 1 GiB].
    #[arg(long, value_name = "SIZE")]
    mem: Option<String>,
    /// The number of CPUs of a task, which is also its number of threads [default: the threads of this
    /// machine].
    #[arg(long, value_name = "CPUS")]
    cpus: Option<usize>,
    /// The number of tasks that run at the same time [default: no limit].
    #[arg(long, value_name = "TASKS")]
    array_limit: Option<usize>,
    /// How many seconds before its time limit a task stops and is put into the queue again. It must be longer
    /// than a batch of cells takes.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    signal_before: u64,
    /// How often a task may be restarted.
    #[arg(long, value_name = "TIMES", default_value_t = 100)]
    restarts: usize,
    /// Another option of sbatch for the tasks, such as --sbatch=--gres=gpu:1. Repeat the option for several.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Do not share prefilled contexts and entropies among the shards in the folder `snapshots`.
    #[arg(long)]
    no_snapshots: bool,
}

impl ResourceArguments {
    /// Returns the number of CPUs of a task.
    pub(super) fn cpus(&self) -> usize {
        self.cpus.unwrap_or_else(rayon::current_num_threads)
    }

    pub(super) fn options(&self) -> Options {
        Options {
            partition: self.partition.clone(),
            account: self.account.clone(),
            qos: self.qos.clone(),
            constraint: self.constraint.clone(),
            nodelist: self.nodelist.clone(),
            exclude: self.exclude.clone(),
            time: self.time.clone(),
            mem: self.mem.clone(),
            cpus: self.cpus(),
            array_limit: self.array_limit,
            signal_before: self.signal_before,
            restarts: self.restarts,
            sbatch: self.sbatch.clone(),
            snapshots: !self.no_snapshots,
        }
    }
}
