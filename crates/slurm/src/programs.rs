//! Runs the programs of Slurm.

use std::{
    io::ErrorKind,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{EndedTask, Error, QueuedTask, Result, ended_task, queued_task};

/// The number of a job.
pub type JobId = u64;

/// The programs of Slurm in `PATH`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slurm;

impl Slurm {
    /// Submits a script and returns the number of its job. With `after`, the job starts when all tasks of
    /// that job have ended.
    ///
    /// # Errors
    /// When `sbatch` is not installed, refuses the script, or does not answer with a number.
    pub fn submit(self, script: &Path, after: Option<JobId>) -> Result<JobId> {
        let mut command = program("sbatch");
        command.arg("--parsable");
        if let Some(job) = after {
            command.arg(format!("--dependency=afterany:{job}"));
        }
        let answer = stdout("sbatch", command.arg(script))?;
        // In a federation the answer is `JOB;CLUSTER`. A plug-in of the site may print lines before it.
        let last = answer.trim().lines().last().unwrap_or_default();
        let number = last.split(';').next().unwrap_or_default();
        number.trim().parse().map_err(|_| Error::NoJobNumber { answer: last.to_owned() })
    }

    /// Returns the tasks of these jobs that are in the queue. Jobs that Slurm does not know have none.
    ///
    /// # Errors
    /// When `squeue` is not installed or fails.
    pub fn queue(self, jobs: &[JobId]) -> Result<Vec<QueuedTask>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let jobs: Vec<String> = jobs.iter().map(JobId::to_string).collect();
        let mut command = program("squeue");
        // Variables such as SQUEUE_STATES would hide tasks.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SQUEUE_"))
        {
            command.env_remove(name);
        }
        command.args(["--noheader", "--array", &format!("--jobs={}", jobs.join(","))]);
        command.arg(format!("--Format={}", queued_task::FORMAT));
        Ok(queued_task::parse(&known(stdout("squeue", &mut command))?))
    }

    /// Returns the tasks of a job that have ended and that Slurm still knows, from its controller and, if
    /// the cluster has one, from its accounting.
    ///
    /// # Errors
    /// When `scontrol` is not installed or fails. Accounting that does not answer is not an error.
    pub fn ended(self, job: JobId) -> Result<Vec<EndedTask>> {
        let job = job.to_string();
        let shown = stdout("scontrol", program("scontrol").args(["show", "job", "--oneliner", &job]));
        let mut ended = ended_task::parse_scontrol(&known(shown)?);
        let mut sacct = program("sacct");
        sacct.args([
            "--noheader",
            "--allocations",
            "--parsable2",
            "--format=JobID,State,ExitCode",
            "--jobs",
            &job,
        ]);
        for task in stdout("sacct", &mut sacct).map(|text| ended_task::parse_sacct(&text)).unwrap_or_default()
        {
            if ended.iter().all(|other| other.task != task.task) {
                ended.push(task);
            }
        }
        Ok(ended)
    }

    /// Returns the highest number of a task in an array. `None` if the controller does not say.
    pub fn highest_task(self) -> Option<usize> {
        let config = stdout("scontrol", program("scontrol").args(["show", "config"])).ok()?;
        let line = config.lines().find(|line| line.trim_start().starts_with("MaxArraySize"))?;
        let size: usize = line.split('=').nth(1)?.trim().parse().ok()?;
        Some(size.saturating_sub(1))
    }

    /// Cancels jobs. Jobs that have ended stay as they are.
    ///
    /// # Errors
    /// When `scancel` is not installed or fails.
    pub fn cancel(self, jobs: &[JobId]) -> Result<()> {
        stdout("scancel", program("scancel").args(jobs.iter().map(JobId::to_string))).map(drop)
    }
}

fn program(name: &'static str) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null());
    command
}

/// Returns the standard output of a program that must succeed.
fn stdout(name: &'static str, command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::NotInstalled { program: name },
        _ => Error::NotStarted { program: name, source },
    })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message").to_owned();
    let reason = first.strip_prefix(&format!("{name}: error: ")).unwrap_or(&first).to_owned();
    Err(Error::Refused { program: name, reason })
}

/// Turns the error about a job that has left the memory of Slurm into an empty answer.
fn known(answer: Result<String>) -> Result<String> {
    match answer {
        Err(Error::Refused { reason, .. }) if reason.contains("Invalid job id") => Ok(String::new()),
        other => other,
    }
}
