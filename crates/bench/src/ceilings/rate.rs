//! Measures how many units of work per second the threads of a pool do together.

use std::time::{Duration, Instant};

/// The duration of one measurement.
const DURATION: Duration = Duration::from_millis(25);
/// The number of measurements whose median is returned.
const MEASUREMENTS: usize = 3;

/// Returns the units per second that all threads of the current rayon pool do together, as the median of
/// three measurements. `work` receives the index of its thread and returns how many units it did. One call
/// should take well under a millisecond.
pub(crate) fn rate(work: &(dyn Fn(usize) -> u64 + Sync)) -> f64 {
    let measure_once = || {
        let started = Instant::now();
        let done = rayon::broadcast(|context| {
            let mut units = 0;
            while started.elapsed() < DURATION {
                units += work(context.index());
            }
            units
        });
        done.iter().sum::<u64>() as f64 / started.elapsed().as_secs_f64()
    };
    let mut rates: Vec<f64> = (0..MEASUREMENTS).map(|_| measure_once()).collect();
    rates.sort_by(f64::total_cmp);
    rates[MEASUREMENTS / 2]
}

/// Returns [`rate`] of work that needs certain instructions; `None` if this machine lacks them.
pub(crate) fn rate_if_supported(work: impl Fn() -> Option<u64> + Sync) -> Option<f64> {
    work().map(|_| rate(&|_| work().unwrap_or_default()))
}
