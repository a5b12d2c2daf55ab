//! What contexts that are read at once share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Vocabularies up to this are small enough to read several contexts at once: each in batch holds logits of its whole
/// continuation.
pub(super) const SMALL_VOCABULARY: usize = 32_768;

/// The value of a mutex, whatever became of a thread that held it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
