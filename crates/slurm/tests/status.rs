//! The status of shards from the record, from what Slurm says, and from their files.

mod support;

use std::fs;

use bitkv_slurm::{
    EndedTask, Layout, MergeState, QueuedTask, Record, ShardState, SlurmAnswer, Status, SubmittedJobs,
};
use support::{Folder, plan};

fn record(layout: &Layout) -> Record {
    let submitted = "2026-01-02T03:04:05Z".to_owned();
    let jobs = SubmittedJobs { submitted, shards: (1..=8).collect(), array_job: Some(4), merge_job: Some(5) };
    Record {
        definition: "sinks.toml".into(),
        definition_sha256: "00".into(),
        directory: "/home/user/work".into(),
        out: layout.out().to_owned(),
        shards: plan(),
        submissions: vec![jobs],
    }
}

fn queued(job: u64, task: Option<usize>, state: &str, restarts: usize) -> QueuedTask {
    let reason = (state == "PENDING").then(|| "Priority".to_owned());
    QueuedTask { job, task, state: state.to_owned(), elapsed_seconds: 30, restarts, reason }
}

fn ended(task: Option<usize>, state: &str, exit_code: i32) -> EndedTask {
    EndedTask { task, state: state.to_owned(), exit_code, signal: 0, restarts: 1 }
}

/// Writes the journal of a shard with a number of rows.
fn journal(layout: &Layout, shard: usize, rows: usize) {
    let folder = layout.folder().join(format!(".{shard}-of-8.partial/.bitkv-journal"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("rows.csv.journal"), "line\n".repeat(rows + 2)).unwrap();
}

#[test]
fn every_state_is_recognised() {
    let folder = Folder::new();
    let layout = Layout::new(&folder.path("run")).unwrap();
    fs::create_dir_all(layout.shard(1, 8)).unwrap();
    fs::write(layout.shard(1, 8).join("manifest.json"), "{\"seconds\": 100.0}").unwrap();
    journal(&layout, 2, 50);
    journal(&layout, 5, 20);
    let known = SlurmAnswer {
        queue: vec![
            queued(4, Some(2), "RUNNING", 1),
            queued(4, Some(3), "PENDING", 0),
            queued(4, Some(4), "PENDING", 2),
            queued(5, None, "PENDING", 0),
        ],
        ended: vec![
            ended(Some(1), "COMPLETED", 0),
            ended(Some(5), "FAILED", 75),
            ended(Some(6), "FAILED", 1),
            ended(Some(7), "OUT_OF_MEMORY", 0),
            ended(None, "CANCELLED", 0),
        ],
        merge: None,
    };
    let status = Status::new(&record(&layout), &layout, &known);
    let states: Vec<ShardState> = status.shards.iter().map(|shard| shard.state).collect();
    use ShardState::{Cancelled, Done, Failed, Queued, Requeued, Running, Stopped};
    assert_eq!(states, [Done, Running, Queued, Requeued, Stopped, Failed, Failed, Cancelled]);
    let reasons: Vec<_> = status.shards[5..7].iter().map(|shard| shard.reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["exit code 1: see logs/6.log", "out of memory: give it more with --mem"]);
    assert_eq!((status.shards[0].restarts, status.shards[2].restarts), (1, 0));
    let running = &status.shards[1];
    assert_eq!((running.rows_written, running.seconds_elapsed, running.restarts), (50, Some(30), 1));
    // Half of 100 planned seconds are left, and the finished shard took twice its planned 50 seconds.
    assert_eq!(running.seconds_left, Some(100.0));
    assert_eq!(status.merge, MergeState::Queued);
    assert_eq!(
        status.summary(),
        "1 of 8 shards done, 1 running, 1 queued, 1 requeued, 1 stopped, 2 failed, 1 cancelled; 170 of 800 rows; \
         about 55 min left"
    );
}

#[test]
fn without_slurm_the_journals_are_the_only_source() {
    let folder = Folder::new();
    let layout = Layout::new(&folder.path("run")).unwrap();
    journal(&layout, 3, 7);
    let status = Status::new(&record(&layout), &layout, &SlurmAnswer::default());
    assert_eq!((status.shards[2].state, status.shards[2].rows_written), (ShardState::Stopped, 7));
    assert_eq!((status.count(ShardState::Missing), status.merge), (7, MergeState::Missing));
    assert_eq!(status.summary(), "0 of 8 shards done, 1 stopped, 7 missing; 7 of 800 rows");
    assert_eq!(status.seconds_left, None);
}

#[test]
fn the_record_reads_back_and_belongs_to_one_definition() {
    let folder = Folder::new();
    let layout = Layout::new(&folder.path("run")).unwrap();
    assert_eq!(Record::find(&layout).unwrap(), None);
    let missing = Record::read(&layout).unwrap_err().to_string();
    assert!(missing.contains("nothing was submitted for") && missing.contains("slurm.json"), "{missing}");
    fs::create_dir_all(layout.folder()).unwrap();
    let record = record(&layout);
    record.write(&layout).unwrap();
    assert_eq!(Record::read(&layout).unwrap(), record);
    assert!(record.check_same("sinks.toml", "00", 8).is_ok());
    assert!(record.check_same("sinks.toml", "11", 8).unwrap_err().to_string().contains("has changed since"));
    assert!(record.check_same("sinks.toml", "00", 9).unwrap_err().to_string().contains("use --shards 8"));
    fs::write(layout.record(), "{}").unwrap();
    assert!(Record::read(&layout).unwrap_err().to_string().contains("slurm.json is not valid"));
}
