//! Faults on purpose: the variable `BITKV_FAULT` lets one change of the disk fail, so that tests can show
//! what the shipped program does then.
//!
//! `BITKV_FAULT=KIND@N` lets the N-th change of a process fail, counted from 1 over all threads. `KIND` is
//! `full` (a write stores half of its bytes, and from then on the disk is full), `error` (EIO), `short` (a
//! write stores half of its bytes and says so), `interrupted` (EINTR), or `kill` (the process is killed, in a
//! write after half of the bytes). `BITKV_FAULT=log:FILE` only appends a line to `FILE` for each change.
//! Every change is made through the functions of the module `disk`.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The variable that asks for a fault.
const VARIABLE: &str = "BITKV_FAULT";

/// What happens at the chosen change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FaultKind {
    /// The disk is full, from this change on.
    Full,
    /// The device fails once.
    Error,
    /// A write stores half of its bytes without an error.
    Short,
    /// A signal interrupts the call once.
    Interrupted,
    /// The process is killed.
    Kill,
}

const KINDS: [(&str, FaultKind); 5] = [
    ("full", FaultKind::Full),
    ("error", FaultKind::Error),
    ("short", FaultKind::Short),
    ("interrupted", FaultKind::Interrupted),
    ("kill", FaultKind::Kill),
];

/// What `BITKV_FAULT` asks for.
#[derive(Debug)]
enum Setting {
    None,
    Fault {
        kind: FaultKind,
        at: u64,
    },
    Log(File),
    /// The text cannot be used.
    Wrong(String),
}

/// A change of the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// A file is created, or opened for writing.
    Open,
    /// Bytes are written.
    Write,
    /// A file is truncated.
    Truncate,
    /// A file or a folder is written to the disk.
    Sync,
    /// A file or a folder gets another name.
    Rename,
    /// A folder is made.
    MakeFolder,
    /// A file or a folder is removed.
    Remove,
}

impl Change {
    /// Whether the change needs space on the disk.
    fn grows(self) -> bool {
        matches!(self, Change::Open | Change::Write | Change::MakeFolder)
    }
}

/// What the caller does instead of the change.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The change is made.
    Normal,
    /// Half of the bytes are written; then the result is this error, or their number if there is no error.
    Half(Option<io::Error>),
    /// Half of the bytes are written, and then the process is killed.
    HalfAndKill,
}

/// Counts a change and returns what happens instead of it.
///
/// # Errors
/// Returns the error of a change that fails as a whole, and an error if `BITKV_FAULT` cannot be read.
pub(crate) fn before(change: Change, path: &Path) -> io::Result<Outcome> {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    match SETTING.get_or_init(|| setting(env::var(VARIABLE).ok().as_deref())) {
        Setting::None => Ok(Outcome::Normal),
        Setting::Log(file) => {
            let mut file = file;
            file.write_all(format!("{change:?} {}\n", path.display()).as_bytes())?;
            Ok(Outcome::Normal)
        }
        Setting::Fault { kind, at } => {
            let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
            outcome(*kind, change, number, *at)
        }
        Setting::Wrong(why) => Err(io::Error::new(io::ErrorKind::InvalidInput, why.clone())),
    }
}

/// Returns what happens at the change with this number if the fault is at number `at`.
fn outcome(kind: FaultKind, change: Change, number: u64, at: u64) -> io::Result<Outcome> {
    let (is_now, is_write) = (number == at, change == Change::Write);
    match kind {
        FaultKind::Full if is_now && is_write => Ok(Outcome::Half(Some(raw(libc::ENOSPC)))),
        FaultKind::Full if number >= at && change.grows() => Err(raw(libc::ENOSPC)),
        FaultKind::Error if is_now => Err(raw(libc::EIO)),
        FaultKind::Short if is_now && is_write => Ok(Outcome::Half(None)),
        // A rename or a removal is never interrupted.
        FaultKind::Interrupted if is_now && is_write => Err(raw(libc::EINTR)),
        FaultKind::Kill if is_now && is_write => Ok(Outcome::HalfAndKill),
        FaultKind::Kill if is_now => kill(),
        _ => Ok(Outcome::Normal),
    }
}

/// Reads the value of the variable.
fn setting(text: Option<&str>) -> Setting {
    let Some(text) = text else { return Setting::None };
    let wrong = |why: String| {
        Setting::Wrong(format!(
            "{VARIABLE} '{text}' {why}: write KIND@N with full, error, short, interrupted or kill, or log:FILE"
        ))
    };
    if let Some(path) = text.strip_prefix("log:") {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        return opened.map_or_else(
            |error| wrong(format!("names a file that cannot be written ({error})")),
            Setting::Log,
        );
    }
    let parts = text.split_once('@').and_then(|(kind, at)| {
        let (_, kind) = KINDS.iter().find(|(name, _)| *name == kind)?;
        Some((*kind, at.parse().ok().filter(|at| *at > 0)?))
    });
    parts.map_or_else(|| wrong("is not a fault".into()), |(kind, at)| Setting::Fault { kind, at })
}

/// Ends this process as `kill -9` does.
pub(crate) fn kill() -> ! {
    // SAFETY: the function takes plain integers. SIGKILL cannot be caught, so the process ends here.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    loop {
        std::thread::park();
    }
}

fn raw(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(kind: FaultKind, change: Change, number: u64) -> Option<i32> {
        match outcome(kind, change, number, 3) {
            Ok(Outcome::Half(Some(error))) | Err(error) => error.raw_os_error(),
            _ => None,
        }
    }

    #[test]
    fn a_fault_happens_once_and_a_full_disk_stays_full() {
        let numbers =
            |fault, change| (1..6).filter(|&n| code(fault, change, n).is_some()).collect::<Vec<_>>();
        assert_eq!(numbers(FaultKind::Error, Change::Rename), [3]);
        assert_eq!(numbers(FaultKind::Interrupted, Change::Write), [3]);
        assert_eq!(numbers(FaultKind::Interrupted, Change::Rename), []);
        assert_eq!(numbers(FaultKind::Full, Change::Write), [3, 4, 5]);
        assert_eq!(numbers(FaultKind::Full, Change::Remove), []);
        assert!(matches!(outcome(FaultKind::Short, Change::Write, 3, 3), Ok(Outcome::Half(None))));
    }

    #[test]
    fn only_faults_that_exist_are_accepted() {
        assert!(matches!(setting(None), Setting::None));
        assert!(matches!(setting(Some("kill@7")), Setting::Fault { kind: FaultKind::Kill, at: 7 }));
        for text in ["", "kill", "kill@", "kill@0", "kill@-1", "crash@1", "log:/no/such/folder/file"] {
            let Setting::Wrong(why) = setting(Some(text)) else { panic!("'{text}' is accepted") };
            assert!(why.contains("KIND@N"), "{why}");
        }
    }
}
