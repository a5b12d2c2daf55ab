//! A run on a real Slurm of two nodes: a node dies, a task is cancelled, a task is stopped by the signal that
//! comes before its time limit, a task hangs until its time limit, and a journal is damaged. The merged run
//! still equals the run of one machine, byte for byte.
//!
//! `.ci/slurm/run.sh` starts the Slurm. All programs of Slurm read the variable `SLURM_CONF`.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Place, list};

/// It takes about 40 s on two cores.
const DEFINITION: &str = r#"
analysis = "Which policy is best at a fifth of the cache? Refuted if the interval of the difference includes zero."

[[experiment]]
name = "policies"
models = ["tiny-gqa", "tiny-mha"]
texts = "my texts"
context = 512
horizon = 127
budgets = [1.0, 0.5, 0.2, 0.1]
policies = [
    "full",
    "uniform+recency",
    "uniform+window-attention",
    "entropy+window-attention",
    "uniform+random",
    "uniform+oracle",
]
draws = 8

[[profile]]
name = "heads"
models = ["tiny-gqa"]
texts = "my texts"
lengths = [64, 256]

[[memory]]
name = "memory"
models = ["tiny-gqa", "microsoft/bitnet-b1.58-2B-4T"]
contexts = [512, 1024]
"#;

const SHARDS: usize = 8;
const OUT: &str = "runs/my run";

/// Waits until `found` returns something.
///
/// # Panics
/// After this many seconds; the message says what was awaited, and the state of the queue.
fn wait<T>(seconds: u64, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = found() {
            eprintln!("{what}: after {:.1} s", started.elapsed().as_secs_f64());
            return value;
        }
        let queue = || slurm("squeue", &["--array"]);
        assert!(started.elapsed().as_secs() < seconds, "{what}: not after {seconds} s\n{}", queue());
        sleep(Duration::from_millis(200));
    }
}

/// Runs a program of Slurm, which must succeed, and returns its output.
#[track_caller]
fn slurm(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("Slurm is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A task in the queue.
#[derive(Debug)]
struct Task {
    shard: usize,
    /// The number of its own job, which its processes have in their environment.
    job: String,
    state: String,
    node: String,
}

/// The run that the test submits.
struct Cluster {
    place: Place,
    /// The folder of `slurm.conf`.
    slurm: PathBuf,
    array: String,
}

impl Cluster {
    /// Returns the tasks of the array that are in the queue.
    fn tasks(&self) -> Vec<Task> {
        let format = "ArrayJobID:|,ArrayTaskID:|,JobID:|,State:|,NodeList:|";
        let task = |line: &str| {
            let fields: Vec<&str> = line.split('|').collect();
            (fields[0] == self.array).then(|| Task {
                shard: fields[1].parse().unwrap(),
                job: fields[2].to_owned(),
                state: fields[3].to_owned(),
                node: fields[4].to_owned(),
            })
        };
        slurm("squeue", &["--noheader", "--array", "--Format", format]).lines().filter_map(task).collect()
    }

    /// Returns a running task on a node whose shard has written rows.
    fn working(&self, node: &str, except: &[usize]) -> Option<Task> {
        let works = |task: &Task| {
            let rows = fs::read_to_string(self.journal(task.shard)).unwrap_or_default().lines().count();
            // The last task of an array has the number of the array, which names all its tasks.
            let has_number = task.job != self.array;
            let wanted = task.state == "RUNNING" && task.node == node && !except.contains(&task.shard);
            wanted && has_number && rows > 10 && !self.is_finished(task.shard)
        };
        self.tasks().into_iter().find(works)
    }

    fn journal(&self, shard: usize) -> PathBuf {
        let folder = format!("{OUT}.shards/.{shard}-of-{SHARDS}.partial/.bitkv-journal");
        self.place.path(&folder).join("rows.csv.journal")
    }

    fn is_finished(&self, shard: usize) -> bool {
        self.place.path(&format!("{OUT}.shards/{shard}-of-{SHARDS}/manifest.json")).exists()
    }

    /// Whether a task waits because it was put into the queue again.
    fn is_requeued(&self, shard: usize) -> bool {
        self.tasks().iter().any(|task| task.shard == shard && task.state == "PENDING")
            && self.status()["shards"][shard - 1]["state"] == "requeued"
    }

    /// Starts a task that was put into the queue again, because Slurm otherwise waits two minutes.
    fn start_now(&self, shard: usize) {
        slurm("scontrol", &["update", &format!("JobId={}_{shard}", self.array), "StartTime=now"]);
    }

    fn status(&self) -> Value {
        self.place.json(&["slurm", "status", OUT])
    }

    /// Kills the daemon of a node and everything that it runs, as if the machine lost its power. Returns the
    /// shards that it ran.
    fn kill_node(&self, node: &str) -> BTreeSet<usize> {
        let tasks: Vec<Task> = self.tasks().into_iter().filter(|task| task.node == node).collect();
        let daemon = fs::read_to_string(self.slurm.join(format!("{node}.pid"))).unwrap();
        let mut processes = vec![daemon.trim().to_owned()];
        for task in &tasks {
            processes.extend(processes_of(&task.job));
        }
        eprintln!("{node} dies with {} processes of shards {:?}", processes.len(), tasks);
        for process in &processes {
            let _ = Command::new("kill").args(["-9", process]).stderr(Stdio::null()).status();
        }
        tasks.into_iter().map(|task| task.shard).collect()
    }

    fn start_node(&self, node: &str) {
        let configuration = self.slurm.join("slurm.conf");
        slurm("slurmd", &["-f", configuration.to_str().unwrap(), "-N", node]);
    }
}

/// Returns the processes of a job: those that have its number in their environment, and its `slurmstepd`.
fn processes_of(job: &str) -> Vec<String> {
    let variable = format!("SLURM_JOB_ID={job}");
    let step = format!("slurmstepd: [{job}.");
    let is_of_job = |process: &Path| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
            || command.starts_with(step.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let processes = processes.filter(|path| is_of_job(path));
    processes.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// Sends a task the signal that comes before the time limit.
fn send_usr1(task: &Task) {
    // Slurm 22.05 delivers the signal and answers that the job cannot be altered. scancel then sends it
    // again, so it gets only a second.
    let arguments = ["1", "scancel", "--quiet", "--signal=USR1", "--batch", &task.job];
    let _ = Command::new("timeout").args(arguments).stderr(Stdio::null()).status();
}

/// Stops the processes of a task, so that they answer no signal, and lowers its time limit to a minute.
fn hang(task: &Task) {
    for process in processes_of(&task.job) {
        // The daemon of Slurm must see that the time is over.
        let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        if !command.starts_with(b"slurmstepd") {
            let _ = Command::new("kill").args(["-STOP", &process]).stderr(Stdio::null()).status();
        }
    }
    slurm("scontrol", &["update", &format!("JobId={}", task.job), "TimeLimit=1"]);
}

/// Changes a byte of a row in the middle of a file.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let rows = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index);
    let ends: Vec<usize> = rows.collect();
    assert!(ends.len() > 6, "{} has too few rows", file.display());
    bytes[ends[ends.len() / 2] + 3] ^= 0xff;
    fs::write(file, bytes).unwrap();
}

/// Makes the run of one machine and submits the shards.
fn begin() -> Cluster {
    let configuration = std::env::var("SLURM_CONF").expect("run .ci/slurm/run.sh, which sets SLURM_CONF");
    let place = Place::new();
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../calibration/texts/evaluation");
    std::os::unix::fs::symlink(texts.canonicalize().unwrap(), place.path("my texts")).unwrap();
    place.write("it's small.toml", DEFINITION);
    let started = Instant::now();
    place.text(&["run", "it's small.toml", "--out", "runs/alone"]);
    eprintln!("the run of one machine took {:.1} s", started.elapsed().as_secs_f64());
    let submitted = place.json(&submit());
    assert_eq!(list(&submitted["submitted"]).len(), SHARDS);
    let array = submitted["array_job"].to_string();
    let slurm = Path::new(&configuration).parent().unwrap().to_owned();
    Cluster { place, slurm, array }
}

fn submit() -> Vec<&'static str> {
    let mut arguments = vec!["slurm", "submit", "it's small.toml", "--shards", "8", "--out", OUT];
    arguments.extend(["--cpus", "1", "--mem", "500M", "--time", "10", "--partition", "main"]);
    arguments.extend(["--sbatch", "--comment=a \"test\" # of bitkv"]);
    arguments
}

#[test]
#[ignore = "needs a running Slurm: .ci/slurm/run.sh starts one"]
fn a_run_survives_what_happens_on_a_cluster() {
    let started = Instant::now();
    let mut cluster = begin();

    // One task is cancelled while it works, and the signal before the time limit comes to another.
    let cancelled = wait(90, "a task on n2 works", || cluster.working("n2", &[])).shard;
    slurm("scancel", &[&format!("{}_{cancelled}", cluster.array)]);
    let signalled = wait(60, "another task on n2 works", || cluster.working("n2", &[cancelled]));
    send_usr1(&signalled);
    let signalled = signalled.shard;

    // A third task hangs. Slurm will end it at its time limit, and not put it into the queue again.
    let hanging = wait(60, "a third task on n2 works", || cluster.working("n2", &[cancelled, signalled]));
    hang(&hanging);
    let hanging = hanging.shard;

    // A node dies while the stopped task waits. A byte of the rows of that task changes.
    wait(60, "a task on n1 works", || cluster.working("n1", &[]));
    let lost = cluster.kill_node("n1");
    assert!(!lost.is_empty());
    wait(60, "the stopped task is in the queue again", || cluster.is_requeued(signalled).then_some(()));
    damage(&cluster.journal(signalled));
    cluster.start_now(signalled);
    for shard in &lost {
        let again = || (cluster.is_requeued(*shard) || cluster.is_finished(*shard)).then_some(());
        wait(90, &format!("shard {shard} of the dead node is in the queue again"), again);
    }
    // The tasks of the dead node restart on the other node. On the same node, a late message of Slurm about
    // the death can end them again; Slurm itself waits two minutes for that reason.
    for shard in &lost {
        if !cluster.is_finished(*shard) {
            cluster.start_now(*shard);
        }
        let runs = |task: &Task| task.shard == *shard && task.state != "PENDING";
        let restarted = || (cluster.tasks().iter().any(runs) || cluster.is_finished(*shard)).then_some(());
        wait(90, &format!("shard {shard} runs again"), restarted);
    }
    cluster.start_node("n1");

    // The merge job says that two shards are missing, and how to measure them.
    wait(180, "the merge job fails", || (cluster.status()["merge"] == "failed").then_some(()));
    let log = fs::read_to_string(cluster.place.path(&format!("{OUT}.shards/logs/merge.log"))).unwrap();
    eprintln!("{log}");
    for shard in [cancelled, hanging] {
        let command = format!("--shard {shard}/{SHARDS}");
        assert!(log.contains(&command) && log.contains("small.toml"), "the log does not name {command}");
    }
    assert!(!cluster.place.path(OUT).exists());
    let status = cluster.status();
    for shard in list(&status["shards"]) {
        let expected = match shard["shard"].as_u64() {
            Some(number) if number == cancelled as u64 => "cancelled",
            Some(number) if number == hanging as u64 => "stopped",
            _ => "done",
        };
        assert_eq!(shard["state"], expected, "{shard}");
        let timed_out = shard["reason"].to_string().contains("time limit");
        assert_eq!(timed_out, expected == "stopped", "{shard}");
    }
    let log = fs::read_to_string(cluster.place.path(&format!("{OUT}.shards/logs/{signalled}.log"))).unwrap();
    assert!(log.contains("is put into the queue again") && log.contains("is removed"), "{log}");

    // Only the cancelled shard and the one that hung are submitted again.
    let submitted = cluster.place.json(&submit());
    let again = BTreeSet::from([cancelled, hanging]);
    assert_eq!(submitted["submitted"], serde_json::json!(again));
    cluster.array = submitted["array_job"].to_string();
    wait(90, "the merged run is written", || (cluster.status()["merge"] == "done").then_some(()));
    for file in ["rows.csv", "heads.csv", "memory.csv", "definition.toml"] {
        let [alone, merged] =
            ["runs/alone", OUT].map(|run| fs::read(cluster.place.path(run).join(file)).unwrap());
        assert!(alone == merged, "{file} differs");
        eprintln!("{file}: {} equal bytes", alone.len());
    }
    eprintln!("{}", cluster.place.text(&["slurm", "status", OUT]));
    eprintln!("the test took {:.0} s", started.elapsed().as_secs_f64());
}
