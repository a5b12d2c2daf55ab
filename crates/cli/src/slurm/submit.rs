//! `bitkv slurm submit`.

use std::{
    env,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_bytes::disk;
use bitkv_evict::Registry;
use bitkv_lab::grid::{Grid, GridOptions};
use bitkv_record::{rfc3339, sha256_file};
use bitkv_slurm::{Error, Layout, Record, Slurm, Submission, SubmittedJobs, array_script, merge_script};
use serde_json::json;

use super::{plan::plan, resources::ResourceArguments};
use crate::{bars::BARS, definitions, output};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The definition: a TOML file, or the name of one in `experiments/`.
    definition: PathBuf,
    /// The number of shards, which is the number of tasks of the array.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    shards: u32,
    /// The merged run [default: runs/NAME of the definition]. Shards, scripts and logs are in DIR.shards.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    resources: ResourceArguments,
    /// Print the two scripts, and submit nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    /// Returns the number of shards.
    fn shards(&self) -> usize {
        self.shards as usize
    }
}

pub(super) fn run(arguments: &Arguments, as_json: bool, registry: &Registry) -> Result<()> {
    for (option, number) in [
        ("--cpus", Some(arguments.resources.cpus())),
        ("--array-limit", arguments.resources.options().array_limit),
    ] {
        ensure!(number != Some(0), "{option} 0: write a number of 1 or more");
    }
    let definition = definitions::find(&arguments.definition)?;
    let stem = definition.file_stem().unwrap_or_default();
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    let layout = Layout::new(&out)?;
    let earlier = Record::find(&layout)?;
    check_earlier(arguments, &definition, &out, &layout, earlier.as_ref())?;
    let submission = submission(arguments, definition, layout, registry)?;
    if arguments.dry_run {
        return show(&submission, as_json);
    }
    let jobs = submit(&submission, out, earlier)?;
    report(&submission, &jobs, as_json)
}

/// Checks that nothing is in the way of a submission, before the models are read.
fn check_earlier(
    arguments: &Arguments,
    definition: &Path,
    out: &Path,
    layout: &Layout,
    earlier: Option<&Record>,
) -> Result<()> {
    let name = out.display().to_string();
    if layout.out().exists() {
        bail!(Error::Finished { out: name });
    }
    if let Some(record) = earlier {
        let (sha256, _) = sha256_file(definition)?;
        record.check_same(&definition.display().to_string(), &sha256, arguments.shards())?;
    }
    if arguments.dry_run {
        return Ok(());
    }
    let tasks = Slurm.queue(&earlier.map(Record::jobs).unwrap_or_default())?.len();
    if tasks > 0 {
        bail!(Error::StillQueued { out: name, tasks });
    }
    match Slurm.highest_task() {
        Some(allowed) if arguments.shards() > allowed => {
            bail!(Error::TooManyShards { shards: arguments.shards(), allowed })
        }
        _ => Ok(()),
    }
}

/// Reads the definition, estimates its shards, and checks the options.
fn submission(
    arguments: &Arguments,
    definition: PathBuf,
    layout: Layout,
    registry: &Registry,
) -> Result<Submission> {
    let options = GridOptions { progress: &BARS, ..GridOptions::default() };
    let grid = Grid::read(&definition, &options, registry)?;
    output::notes(&grid.notes);
    let plan = plan(&grid, arguments.shards, arguments.resources.cpus())?;
    let options = arguments.resources.options();
    options.check(&plan)?;
    let is_unfinished = |shard: &usize| !layout.is_finished(*shard, arguments.shards());
    Ok(Submission {
        program: env::current_exe().context("cannot find the path of this program")?,
        directory: env::current_dir().context("cannot find the working directory")?,
        unfinished: (1..=arguments.shards()).filter(is_unfinished).collect(),
        definition,
        layout,
        plan,
        options,
    })
}

/// Writes the scripts and submits them. The record is written as soon as the array has a number.
fn submit(submission: &Submission, out: PathBuf, earlier: Option<Record>) -> Result<SubmittedJobs> {
    let layout = &submission.layout;
    let is_new = !layout.folder().exists();
    write_scripts(submission)?;
    let array_job = match submission.unfinished.is_empty() {
        true => None,
        false => Some(Slurm.submit(&layout.array_script(), None).inspect_err(|error| {
            // Without an answer that has a number, the job may have been submitted.
            if is_new && !matches!(error, Error::NoJobNumber { .. }) {
                let _ = disk::remove_folder(layout.folder());
            }
        })?),
    };
    let mut record = match earlier {
        Some(record) => Record { shards: submission.plan.clone(), ..record },
        None => Record {
            definition_sha256: sha256_file(&submission.definition)?.0,
            definition: submission.definition.clone(),
            directory: submission.directory.clone(),
            out,
            shards: submission.plan.clone(),
            submissions: Vec::new(),
        },
    };
    let submitted = rfc3339(SystemTime::now());
    let mut jobs =
        SubmittedJobs { submitted, shards: submission.unfinished.clone(), array_job, merge_job: None };
    record.submissions.push(jobs.clone());
    record.write(layout)?;
    let merge = Slurm.submit(&layout.merge_script(), array_job);
    jobs.merge_job = Some(merge.context("the shards were submitted, but not the job that merges them")?);
    if let Some(latest) = record.submissions.last_mut() {
        latest.merge_job = jobs.merge_job;
    }
    record.write(layout)?;
    Ok(jobs)
}

fn write_scripts(submission: &Submission) -> Result<()> {
    let layout = &submission.layout;
    let logs = layout.logs();
    disk::create_folders(&logs).with_context(|| format!("cannot make the folder {}", logs.display()))?;
    output::file(&layout.array_script(), array_script(submission)?.as_bytes())?;
    output::file(&layout.merge_script(), merge_script(submission)?.as_bytes())
}

/// Prints the two scripts.
fn show(submission: &Submission, as_json: bool) -> Result<()> {
    let (array, merge) = (array_script(submission)?, merge_script(submission)?);
    if as_json {
        let (plan, unfinished) = (&submission.plan, &submission.unfinished);
        return output::json(&json!({"plan": plan, "submitted": unfinished, "array": array, "merge": merge}));
    }
    let layout = &submission.layout;
    output::text(&format!(
        "==> {} <==\n{array}\n==> {} <==\n{merge}",
        layout.array_script().display(),
        layout.merge_script().display()
    ))
}

/// Says which jobs were submitted.
fn report(submission: &Submission, jobs: &SubmittedJobs, as_json: bool) -> Result<()> {
    let folder = submission.layout.folder();
    if as_json {
        return output::json(&json!({
            "out": submission.layout.out(),
            "folder": folder,
            "array_job": jobs.array_job,
            "merge_job": jobs.merge_job,
            "submitted": jobs.shards,
            "plan": submission.plan,
        }));
    }
    let all = submission.plan.shards();
    let array = match jobs.array_job {
        Some(job) => format!("Job {job} runs {} of {all} shards in {}", jobs.shards.len(), folder.display()),
        None => format!("All {all} shards in {} are finished", folder.display()),
    };
    let merge = jobs.merge_job.map(|job| format!("\nJob {job} merges them")).unwrap_or_default();
    let out = submission.layout.out().display();
    output::text(&format!("{array}{merge} into {out}\nStatus: bitkv slurm status {out}\n"))
}
