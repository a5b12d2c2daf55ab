//! A temporary folder with programs, and a submission.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use bitkv_slurm::{Layout, Options, Plan, PlannedShard, Submission};
use tempfile::TempDir;

/// A temporary folder, which is deleted when dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a bash script that can be executed.
    pub(crate) fn program(&self, name: &str, body: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/bash\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Returns a command that runs in the folder, finds programs in its folder `bin` first, and does not
    /// know the variables of Slurm.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SLURM_"))
        {
            command.env_remove(name);
        }
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.current_dir(self.0.path()).env("PATH", path);
        command
    }
}

/// Returns the options that the command line has by default, on two CPUs.
pub(crate) fn options() -> Options {
    Options {
        partition: None,
        account: None,
        qos: None,
        constraint: None,
        nodelist: None,
        exclude: None,
        time: None,
        mem: None,
        cpus: 2,
        array_limit: None,
        signal_before: 120,
        restarts: 100,
        sbatch: Vec::new(),
        snapshots: true,
    }
}

/// Returns a plan of 8 shards of 100 rows.
pub(crate) fn plan() -> Plan {
    let shard =
        |shard| PlannedShard { shard, contexts: 2, rows: 100, seconds: 50.0 * shard as f64, bytes: 3 << 28 };
    Plan((1..=8).map(shard).collect())
}

/// Returns a submission of 8 shards.
pub(crate) fn submission(out: &Path) -> Submission {
    Submission {
        program: "/opt/bitkv/bin/bitkv".into(),
        directory: "/home/user/work".into(),
        definition: "sinks.toml".into(),
        layout: Layout::new(out).unwrap(),
        plan: plan(),
        unfinished: (1..=8).collect(),
        options: options(),
    }
}
