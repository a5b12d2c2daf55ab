//! The tasks that `squeue` shows.

use crate::{JobId, time_limit};

/// The fields that [`parse`] reads, each followed by a line.
pub(crate) const FORMAT: &str = "ArrayJobID:|,ArrayTaskID:|,State:|,TimeUsed:|,RestartCnt:|,Reason:|";

/// A task of a job that is in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedTask {
    /// The number of the array, or of a job that is not an array.
    pub job: JobId,
    /// The number of the task in the array. `None` for a job that is not an array.
    pub task: Option<usize>,
    /// The state, such as `PENDING` or `RUNNING`.
    pub state: String,
    /// The seconds since the task started.
    pub elapsed_seconds: u64,
    /// How often Slurm has restarted the task.
    pub restarts: usize,
    /// Why the task waits, if Slurm says it.
    pub reason: Option<String>,
}

/// Reads the output of `squeue` with [`FORMAT`]. Lines of another form are left out.
pub(crate) fn parse(text: &str) -> Vec<QueuedTask> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<QueuedTask> {
    // The reason is last, because a reason is free text.
    let mut fields = line.splitn(6, '|').map(str::trim);
    let mut next = || fields.next();
    let (job, task, state) = (next()?.parse().ok()?, next()?.parse().ok(), next()?.to_owned());
    let elapsed_seconds = time_limit::seconds(next()?).unwrap_or(0);
    let restarts = next()?.parse().unwrap_or(0);
    let reason = next()?.trim_end_matches('|');
    let reason = (!["", "None", "(null)"].contains(&reason)).then(|| reason.to_owned());
    Some(QueuedTask { job, task, state, elapsed_seconds, restarts, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of Slurm 22.05.
    const CAPTURED: &str = include_str!("../testdata/squeue.txt");

    #[test]
    fn the_output_of_squeue_is_read() {
        let tasks = parse(CAPTURED);
        assert_eq!(tasks.len(), CAPTURED.lines().count());
        let task = |number| tasks.iter().find(|task| task.task == Some(number)).unwrap();
        assert_eq!((task(3).state.as_str(), task(3).restarts), ("PENDING", 1));
        assert_eq!(task(3).reason.as_deref(), Some("BeginTime"));
        assert_eq!((task(4).state.as_str(), task(4).elapsed_seconds), ("RUNNING", 3));
        assert_eq!((task(4).reason.as_deref(), task(4).job), (None, 14));
        let merge = tasks.iter().find(|task| task.task.is_none()).unwrap();
        assert_eq!((merge.job, merge.reason.as_deref()), (15, Some("Dependency")));
        assert_eq!(parse("squeue: something else\n\n1|2|RUNNING\n"), Vec::new());
    }
}
