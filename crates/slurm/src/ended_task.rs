//! The tasks that have ended, as `scontrol` and `sacct` show them.

use crate::task_list;

/// The states of tasks that have not ended.
const ACTIVE: [&str; 12] = [
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "COMPLETING",
    "CONFIGURING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
];

/// The number that `scontrol` shows for the tasks of an array that were cancelled before they started.
const UNNUMBERED: usize = 4_294_967_294;

/// A task of an array, or a job that is not an array, that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedTask {
    /// The number of the task in the array. `None` for a job that is not an array, and for all tasks of an
    /// array that were cancelled before they started.
    pub task: Option<usize>,
    /// The state, such as `COMPLETED`, `FAILED`, `CANCELLED` or `TIMEOUT`.
    pub state: String,
    /// The exit code.
    pub exit_code: i32,
    /// The number of the signal that ended the task, or 0.
    pub signal: i32,
    /// How often Slurm restarted the task. Accounting does not say it, and it is then 0.
    pub restarts: usize,
}

/// Reads the output of `scontrol show job --oneliner`.
pub(crate) fn parse_scontrol(text: &str) -> Vec<EndedTask> {
    text.lines().flat_map(parse_scontrol_line).collect()
}

fn parse_scontrol_line(line: &str) -> Vec<EndedTask> {
    // Values with blanks come after the keys that are read here, except the name, which has no blanks.
    let value = |key: &str| {
        let (_, rest) = line.split_once(&format!(" {key}="))?;
        rest.split_whitespace().next()
    };
    let Some(state) = value("JobState") else { return Vec::new() };
    let restarts = value("Restarts").and_then(|count| count.parse().ok()).unwrap_or(0);
    let tasks = ended(value("ArrayTaskId"), state, value("ExitCode").unwrap_or_default());
    tasks.into_iter().map(|task| EndedTask { restarts, ..task }).collect()
}

/// Reads the output of `sacct` with the columns number, state and exit code, separated by `|`.
pub(crate) fn parse_sacct(text: &str) -> Vec<EndedTask> {
    let tasks = |line: &str| {
        let mut fields = line.split('|');
        let (job, state, exit) = (fields.next()?, fields.next()?, fields.next()?);
        // A cancelled job has the state `CANCELLED by UID`.
        let state = state.split_whitespace().next()?;
        Some(ended(job.split_once('_').map(|(_, tasks)| tasks), state, exit))
    };
    text.lines().filter_map(tasks).flatten().collect()
}

/// Returns one task for each number of the list, if they have ended.
fn ended(tasks: Option<&str>, state: &str, exit: &str) -> Vec<EndedTask> {
    if ACTIVE.contains(&state) {
        return Vec::new();
    }
    let (code, signal) = exit.split_once(':').unwrap_or((exit, "0"));
    let (exit_code, signal) = (code.parse().unwrap_or(0), signal.parse().unwrap_or(0));
    let task = |task| EndedTask { task, state: state.to_owned(), exit_code, signal, restarts: 0 };
    match tasks {
        None => vec![task(None)],
        Some(list) => task_list::from_list(list)
            .into_iter()
            .map(|number| task((number != UNNUMBERED).then_some(number)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of Slurm 22.05.
    const CAPTURED: &str = include_str!("../testdata/scontrol.txt");

    #[test]
    fn the_output_of_scontrol_is_read() {
        let tasks = parse_scontrol(CAPTURED);
        let task = |number| tasks.iter().find(|task| task.task == Some(number));
        assert_eq!((task(1).unwrap().state.as_str(), task(1).unwrap().exit_code), ("COMPLETED", 0));
        assert_eq!((task(2).unwrap().state.as_str(), task(2).unwrap().exit_code), ("FAILED", 1));
        assert_eq!(task(3), None, "it waits");
        assert_eq!(task(4), None, "it runs");
        assert_eq!(task(5).unwrap().state, "CANCELLED");
        let unnumbered = tasks.iter().find(|task| task.task.is_none()).unwrap();
        assert_eq!((task(6), unnumbered.state.as_str()), (None, "CANCELLED"));
        assert_eq!(parse_scontrol("no such job\n"), Vec::new());
    }

    #[test]
    fn the_output_of_sacct_is_read() {
        let tasks = parse_sacct(
            "4_1|COMPLETED|0:0\n4_2|CANCELLED by 0|0:15\n4_[5-6%2]|PENDING|0:0\n4_7|TIMEOUT|0:0\n9|FAILED|1:0\n",
        );
        let states: Vec<_> = tasks.iter().map(|task| (task.task, task.state.as_str())).collect();
        assert_eq!(
            states,
            [(Some(1), "COMPLETED"), (Some(2), "CANCELLED"), (Some(7), "TIMEOUT"), (None, "FAILED")]
        );
        assert_eq!(tasks[1].signal, 15);
        assert_eq!(parse_sacct("Slurm accounting storage is disabled\n"), Vec::new());
    }
}
