//! The script that merges the shards.

use bitkv_shards::quoted;

use super::job_name;
use crate::{
    Result, Submission,
    directive::{directive, log_path},
    layout::script_text,
};

/// The minutes of the merge job. Merging reads and writes rows, and computes a report.
const MINUTES: u64 = 60;

/// Returns the script of the merge job. `sbatch` gets the dependency on the array as an option.
///
/// # Errors
/// When a path cannot be written into a script.
pub fn merge_script(submission: &Submission) -> Result<String> {
    let folder = script_text(submission.layout.folder())?;
    let mut text = "#!/bin/bash\n\
        # Merges the shards into one run, which has the files of a run on one machine. If a shard is missing, the\n\
        # log names the command that runs it. By hand: bash merge.sbatch\n"
        .to_owned();
    text += &directive("--job-name", &job_name(submission, "bitkv-merge"));
    text += &directive("--output", &log_path(&format!("{folder}/logs"), "merge.log"));
    text += &directive("--open-mode", "append");
    text += &directive("--time", &MINUTES.to_string());
    text += &directive("--mem", &format!("{}M", submission.plan.merge_memory_mib()));
    text += &directive("--cpus-per-task", "1");
    for (option, value) in submission.options.placement() {
        text += &directive(option, value);
    }
    text += &format!(
        "\ncd {} || exit 1\nexec {} merge {} {}\n",
        quoted(script_text(&submission.directory)?),
        quoted(script_text(&submission.program)?),
        quoted(script_text(submission.layout.out())?),
        quoted(folder)
    );
    Ok(text)
}
