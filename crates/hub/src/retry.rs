//! Decides how often a request is tried, and how long to wait between tries.

use std::{thread, time::Duration};

use crate::{Error, Settings};

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why a request failed.
pub(crate) enum Failure {
    /// The next try may succeed.
    Transient(Error),
    /// Every further try would fail.
    Permanent(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Transient(error) | Failure::Permanent(error) => error,
        }
    }
}

/// Counts the failures of a request and waits between its tries.
pub(crate) struct Retries<'a> {
    settings: &'a Settings,
    failures: u32,
}

impl Retries<'_> {
    pub(crate) fn new(settings: &Settings) -> Retries<'_> {
        Retries { settings, failures: 0 }
    }

    /// Forgets earlier failures, because the request has made progress since.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try. Returns the error if it is permanent or no tries are left.
    pub(crate) fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        let error = match failure {
            Failure::Transient(error) => error,
            Failure::Permanent(error) => return Err(error),
        };
        self.failures += 1;
        if self.failures >= self.settings.attempts {
            return Err(error);
        }
        let doubled = 2u32.saturating_pow(self.failures - 1);
        thread::sleep(self.settings.backoff.saturating_mul(doubled).min(LONGEST_WAIT));
        Ok(())
    }
}
