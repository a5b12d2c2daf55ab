//! SIGINT, SIGTERM and SIGUSR1: a run finishes what it is measuring, a training its step; they keep what they
//! have, and say how to resume.
//! A second signal ends the process at once. Batch systems send SIGUSR1 before a time limit; the exit code
//! then says that the same command should run again.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Error, Result};
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    flag,
};

/// The first signal that came, or 0.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
/// Whether a signal came.
static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Work that ended because a signal asked for it.
#[derive(Debug)]
pub(crate) struct Interrupted {
    signal: usize,
    folder: PathBuf,
    work: Resumable,
}

/// The kinds of work that can be resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resumable {
    /// A run of experiments.
    Run,
    /// A training.
    Training,
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder = self.folder.display();
        let (name, kept) = match self.work {
            Resumable::Run => ("run", "its rows are"),
            Resumable::Training => ("training", "its last step is"),
        };
        write!(f, "the {name} {folder} was stopped as asked, and {kept} kept: the same command resumes it")
    }
}

impl std::error::Error for Interrupted {}

impl Interrupted {
    /// Returns the exit code of a process that a signal ended: 130 or 143, or [`RUN_AGAIN`] after SIGUSR1.
    pub(crate) fn exit_code(&self) -> u8 {
        code(self.signal as i32) as u8
    }
}

/// The exit code of a run that the same command can continue now or later (EX_TEMPFAIL of sysexits.h).
pub(crate) const RUN_AGAIN: u8 = 75;

/// Returns the exit code of a process that a signal ended.
fn code(signal: i32) -> i32 {
    if signal == SIGUSR1 { i32::from(RUN_AGAIN) } else { 128 + signal }
}

/// Catches SIGUSR1 from now on.
///
/// # Errors
/// When the system does not allow it.
pub(crate) fn catch_time_limit() -> Result<()> {
    catch_all(&[SIGUSR1])
}

/// Catches the signals from now on.
///
/// # Errors
/// When the system does not allow it.
pub(crate) fn catch() -> Result<()> {
    catch_all(&[SIGINT, SIGTERM, SIGUSR1])
}

fn catch_all(signals: &[i32]) -> Result<()> {
    /// The signals that are caught. A second handler of one signal would end the process at the first signal.
    static CAUGHT: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    let mut caught = CAUGHT.lock().unwrap_or_else(PoisonError::into_inner);
    for &signal in signals {
        if caught.contains(&signal) {
            continue;
        }
        caught.push(signal);
        // The handlers run in this order, so that the first signal does not end the process.
        flag::register_conditional_shutdown(signal, code(signal), Arc::clone(&ASKED))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize))
            .and_then(|_| flag::register(signal, Arc::clone(&ASKED)))
            .context("cannot catch signals")?;
    }
    Ok(())
}

/// Whether a signal has asked this process to stop.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Returns the error of a run: that it was interrupted, if it was cancelled, or else `error`.
pub(crate) fn or_interrupted(error: bitkv_lab::Error, folder: &Path) -> Error {
    match error.is_cancelled() {
        true => interrupted(Resumable::Run, folder),
        false => error.into(),
    }
}

/// Returns the error of work that a signal ended.
pub(crate) fn interrupted(work: Resumable, folder: &Path) -> Error {
    Interrupted { signal: SIGNAL.load(Ordering::SeqCst), folder: folder.to_owned(), work }.into()
}
