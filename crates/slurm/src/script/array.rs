//! The script that runs one shard in every task of an array.

use bitkv_shards::quoted;

use super::job_name;
use crate::{
    Options, Result, Submission,
    directive::{directive, log_path, user_directive},
    layout::script_text,
    task_list,
};

/// The part of the script that is the same in every submission.
const BODY: &str = include_str!("array.sh");

/// Returns the script of the array.
///
/// # Errors
/// When a path cannot be written into a script.
pub fn array_script(submission: &Submission) -> Result<String> {
    let shards = submission.plan.shards();
    let folder = script_text(submission.layout.folder())?;
    let mut text = format!(
        "#!/bin/bash\n\
         # Runs one shard of {shards} in every task. By hand: SLURM_ARRAY_TASK_ID=1 bash array.sbatch\n"
    );
    text += &directive("--job-name", &job_name(submission, "bitkv"));
    text += &directive("--output", &log_path(&format!("{folder}/logs"), "%a.log"));
    text += &resources(submission);
    for option in &submission.options.sbatch {
        text += &user_directive(option);
    }
    text += &format!("\ncd {} || exit 1\n", quoted(script_text(&submission.directory)?));
    text += &variables(submission)?;
    text.push('\n');
    text += BODY;
    Ok(text)
}

/// Returns the lines that say what a task needs, and how Slurm treats it.
fn resources(submission: &Submission) -> String {
    let (plan, options) = (&submission.plan, &submission.options);
    let limit = options.array_limit.map(|limit| format!("%{limit}")).unwrap_or_default();
    let minutes = || plan.limit_minutes().to_string();
    let mut text = directive("--array", &(task_list::to_list(&submission.unfinished) + &limit));
    text += &directive("--time", &options.time.clone().unwrap_or_else(minutes));
    text += &directive("--mem", &options.mem.clone().unwrap_or_else(|| format!("{}M", plan.memory_mib())));
    text += &directive("--cpus-per-task", &options.cpus.to_string());
    text += &directive("--signal", &format!("B:USR1@{}", options.signal_before));
    text += "#SBATCH --requeue\n";
    text += &directive("--open-mode", "append");
    for (option, value) in options.placement() {
        text += &directive(option, value);
    }
    text
}

/// Returns the lines that set the variables of [`BODY`].
fn variables(submission: &Submission) -> Result<String> {
    let Options { restarts, snapshots, .. } = submission.options;
    let folder = quoted(script_text(submission.layout.folder())?);
    let snapshots = match snapshots {
        true => "snapshots=(--snapshots \"$folder/snapshots\")",
        false => "snapshots=()",
    };
    Ok(format!(
        "bitkv={}\ndefinition={}\nfolder={folder}\nshards={}\n{snapshots}\n\
         # Slurm may restart a task this often.\nrestarts={restarts}\n",
        quoted(script_text(&submission.program)?),
        quoted(script_text(&submission.definition)?),
        submission.plan.shards()
    ))
}
