//! The texts of the scripts, and what they do with a stub in the place of bitkv.

mod support;

use std::{fs, path::Path, process::Command, thread::sleep, time::Duration};

use bitkv_slurm::{Error, Layout, Plan, PlannedShard, array_script, merge_script};
use support::{Folder, options, submission};

/// Compares a text with its snapshot.
#[track_caller]
fn check(name: &str, text: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn the_scripts_of_a_plain_submission() {
    let submission = submission(Path::new("/data/runs/sinks"));
    check("array", &array_script(&submission).unwrap());
    check("merge", &merge_script(&submission).unwrap());
}

#[test]
fn the_scripts_of_a_submission_with_all_options() {
    let mut submission = submission(Path::new("/data/50% of 'my' \"runs\" #1/sinks $HOME"));
    submission.unfinished = vec![2, 3, 4, 8];
    submission.definition = "my definitions/it's.toml".into();
    let options = &mut submission.options;
    options.partition = Some("main,gpu".into());
    options.account = Some("group of \"ours\"".into());
    options.qos = Some("low".into());
    options.constraint = Some("[a&b]*2".into());
    options.nodelist = Some("n[1-4]".into());
    options.exclude = Some("n3".into());
    options.time = Some("1-12".into());
    options.mem = Some("16G".into());
    options.array_limit = Some(4);
    options.sbatch = vec!["--exclusive".into(), "--comment=two words # here".into()];
    options.snapshots = false;
    check("array-all-options", &array_script(&submission).unwrap());
    check("merge-all-options", &merge_script(&submission).unwrap());
}

#[test]
fn impossible_options_are_refused() {
    let plan = Plan(vec![PlannedShard { shard: 1, contexts: 1, rows: 1, seconds: 1.0, bytes: 1 }]);
    let refused = |change: &dyn Fn(&mut bitkv_slurm::Options)| {
        let mut options = options();
        change(&mut options);
        options.check(&plan).unwrap_err().to_string()
    };
    assert!(options().check(&plan).is_ok());
    assert!(refused(&|o| o.partition = Some("a\nb".into())).contains("--partition \"a\\nb\""));
    assert!(refused(&|o| o.account = Some(String::new())).contains("--account"));
    assert!(refused(&|o| o.sbatch = vec!["gres=gpu:1".into()]).contains("begins with --"));
    assert!(refused(&|o| o.time = Some("1h".into())).contains("--time 1h: write minutes"));
    let late = refused(&|o| (o.time, o.signal_before) = (Some("2".into()), 120));
    assert!(late.contains("--signal-before 120: the time limit is 120 s"), "{late}");
    assert!(matches!(Layout::new(Path::new("a\\b")), Err(Error::Path { .. })));
}

/// Runs the script of task 3 of 8 with a stub in the place of bitkv and of the programs of Slurm.
fn script(folder: &Folder, stub: &str) -> Command {
    let mut submission = submission(&folder.path("my 'runs'/run $x"));
    submission.program = folder.path("the bin/bitkv");
    submission.directory = folder.path("");
    folder.program("the bin/bitkv", stub);
    folder.program("bin/scontrol", "echo scontrol \"$@\" >> log");
    folder.program("bin/sleep", "echo sleep \"$@\" >> log");
    fs::write(folder.path("array.sbatch"), array_script(&submission).unwrap()).unwrap();
    let mut command = folder.command("bash");
    command.arg("array.sbatch").env("SLURM_ARRAY_TASK_ID", "3");
    command
}

/// Returns the exit code of a command and what the stubs wrote.
fn outcome(folder: &Folder, mut command: Command) -> (Option<i32>, String) {
    let code = command.status().unwrap().code();
    (code, fs::read_to_string(folder.path("log")).unwrap_or_default())
}

#[test]
fn a_task_runs_its_shard_by_hand() {
    for code in [0, 1, 75] {
        let folder = Folder::new();
        let command = script(&folder, &format!("printf '%s\\n' \"$@\" > log; exit {code}"));
        let (found, log) = outcome(&folder, command);
        let out = folder.path("my 'runs'/run $x.shards").display().to_string();
        let expected = format!(
            "run\nsinks.toml\n--shard\n3/8\n--out\n{out}/3-of-8\n--snapshots\n{out}/snapshots\n--if-needed\n"
        );
        assert_eq!((found, log), (Some(code), expected));
    }
}

#[test]
fn a_task_that_another_process_writes_waits_and_is_queued_again() {
    let folder = Folder::new();
    let mut command = script(&folder, "exit 75");
    command.env("SLURM_ARRAY_JOB_ID", "12").env("SLURM_JOB_ID", "15").env("SLURM_RESTART_COUNT", "99");
    let (code, log) = outcome(&folder, command);
    assert_eq!((code, log.as_str()), (Some(75), "sleep 60\nscontrol requeue 12_3\nsleep 60\n"));
}

#[test]
fn a_task_is_not_restarted_for_ever() {
    let folder = Folder::new();
    let mut command = script(&folder, "exit 75");
    command.env("SLURM_ARRAY_JOB_ID", "12").env("SLURM_JOB_ID", "15").env("SLURM_RESTART_COUNT", "100");
    assert_eq!(outcome(&folder, command), (Some(75), String::new()));
}

/// Starts the script, waits until the stub runs, sends signals, and returns the outcome.
fn signalled(stub: &str, under_slurm: bool, signals: &[&str]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let mut command = script(&folder, &format!("{stub}\ntouch started; while :; do /bin/sleep 0.05; done"));
    if under_slurm {
        command.env("SLURM_ARRAY_JOB_ID", "12").env("SLURM_JOB_ID", "15");
    }
    let mut child = command.spawn().unwrap();
    let wait_for = |done: &mut dyn FnMut() -> bool| {
        (0..400).any(|_| {
            done() || {
                sleep(Duration::from_millis(50));
                false
            }
        })
    };
    assert!(wait_for(&mut || folder.path("started").exists()), "the stub has not started in 20 s");
    for signal in signals {
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        sleep(Duration::from_millis(300));
    }
    assert!(wait_for(&mut || child.try_wait().unwrap().is_some()), "the script has not ended in 20 s");
    (child.wait().unwrap().code(), fs::read_to_string(folder.path("log")).unwrap_or_default())
}

#[test]
fn the_signal_before_the_time_limit_is_forwarded_once_for_each() {
    let stub = "trap 'echo usr1 >> log; n=x$n; [ $n = xx ] && exit 75' USR1";
    let (code, log) = signalled(stub, true, &["USR1", "USR1"]);
    assert_eq!((code, log.as_str()), (Some(75), "usr1\nusr1\nscontrol requeue 12_3\nsleep 60\n"));
}

#[test]
fn a_signal_before_the_run_can_handle_it_is_not_a_failure() {
    assert_eq!(signalled(":", false, &["USR1"]).0, Some(75));
}

#[test]
fn term_is_forwarded_by_hand_but_not_under_slurm() {
    let stub = "trap 'echo term >> log; exit 143' TERM\ntrap 'exit 75' USR1";
    assert_eq!(signalled(stub, false, &["TERM"]), (Some(143), "term\n".to_owned()));
    // A cancelled task is not put into the queue again, although its run stopped with 75.
    let (code, log) = signalled("trap '/bin/sleep 0.8; exit 75' USR1", true, &["USR1", "TERM"]);
    assert_eq!((code, log.as_str()), (Some(75), ""));
}
