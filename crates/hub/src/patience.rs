//! How often and how long a request is tried.

use std::{thread, time::Duration};

use crate::{Error, Settings};

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why a request failed.
pub(crate) enum Failure {
    /// The next try may succeed.
    Passing(Error),
    /// It will not.
    Final(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Passing(error) | Failure::Final(error) => error,
        }
    }
}

/// What is left of the tries.
pub(crate) struct Patience<'a> {
    settings: &'a Settings,
    failures: u32,
}

impl Patience<'_> {
    pub(crate) fn new(settings: &Settings) -> Patience<'_> {
        Patience { settings, failures: 0 }
    }

    /// After progress, failures before it do not count.
    pub(crate) fn renew(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try, or gives the error back when there is none.
    pub(crate) fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        let error = match failure {
            Failure::Passing(error) => error,
            Failure::Final(error) => return Err(error),
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
