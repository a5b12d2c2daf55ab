//! Turns panics of the libraries that read and run tokenizers into errors.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::{Once, mpsc},
    thread,
    time::Duration,
};

thread_local! {
    /// Whether a panic of this thread is expected, so that its message is not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A call panicked.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Returns the result of a call, or [`Panicked`] if it panics. The message of the panic is not printed.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.with(Cell::get) {
                print(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    QUIET.set(before);
    result.map_err(|_| Panicked)
}

/// Returns the result of a call as [`guarded`] does, or `None` if it takes longer than a time. A call cannot
/// be interrupted, so its thread is left alone when the time is over, and ends with the process at the
/// latest.
pub(crate) fn guarded_within<T: Send + 'static>(
    time: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<Result<T, Panicked>> {
    let (sender, receiver) = mpsc::channel();
    // The receiver is gone if the time is over.
    thread::spawn(move || drop(sender.send(guarded(call))));
    receiver.recv_timeout(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert!(guarded(|| panic!("expected")).is_err());
        assert_eq!(guarded(|| 3).unwrap(), 3);
        assert!(!QUIET.with(Cell::get));
    }

    #[test]
    fn a_call_that_takes_too_long_is_left_alone() {
        let long = Duration::from_secs(60);
        assert!(guarded_within(Duration::from_millis(10), move || thread::sleep(long)).is_none());
        assert_eq!(guarded_within(long, || 3).unwrap().unwrap(), 3);
        assert!(guarded_within(long, || panic!("expected")).unwrap().is_err());
    }
}
