//! Helpers for contexts that are read in parallel.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The largest vocabulary for which several contexts are read in parallel. Each of them holds the logits of
/// its whole continuation.
pub(super) const SMALL_VOCABULARY: usize = 32_768;

/// Locks a mutex, even if a thread panicked while it held the lock.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
