//! The time limit of a cell. It is checked between the steps of a measurement, so no thread is stopped.

use std::time::{Duration, Instant};

use crate::{Result, error::bail};

/// When the cells of a batch must be measured; by default there is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadline {
    end: Option<Instant>,
    /// The seconds that one cell may take.
    seconds: f64,
}

impl Deadline {
    /// Returns the deadline of `cells` cells that run together from now on, with `seconds` for each of them.
    pub(super) fn new(seconds: Option<f64>, cells: usize) -> Deadline {
        let Some(seconds) = seconds else { return Deadline::default() };
        let all = Duration::try_from_secs_f64(seconds * cells as f64).ok();
        Deadline { end: all.and_then(|all| Instant::now().checked_add(all)), seconds }
    }

    /// Returns a deadline that is later by `time`.
    pub(super) fn later_by(self, time: Duration) -> Deadline {
        Deadline { end: self.end.and_then(|end| end.checked_add(time)), ..self }
    }

    /// # Errors
    /// Returns an error if the time is over.
    pub(super) fn check(self) -> Result<()> {
        if self.end.is_some_and(|end| Instant::now() > end) {
            bail!(Unfit, "took longer than {} s", self.seconds);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_only_if_there_is_one() {
        assert!(Deadline::default().check().is_ok());
        assert!(Deadline::new(Some(1e9), 3).check().is_ok());
        let over = Deadline::new(Some(1e-9), 1);
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(over.check().unwrap_err().to_string(), "took longer than 0.000000001 s");
        assert!(over.later_by(Duration::from_secs(60)).check().is_ok());
    }
}
