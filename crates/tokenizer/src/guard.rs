//! Turns panics of the libraries that read and run tokenizers into errors.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert!(guarded(|| panic!("expected")).is_err());
        assert_eq!(guarded(|| 3).unwrap(), 3);
        assert!(!QUIET.with(Cell::get));
    }
}
