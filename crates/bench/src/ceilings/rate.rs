//! How many units of work a second the threads of a pool do together.

use std::time::{Duration, Instant};

/// How long one measurement takes.
const DURATION: Duration = Duration::from_millis(25);
/// Measurements whose median counts.
const MEASUREMENTS: usize = 3;

/// Units a second of all threads of the current rayon pool together, the median of three measurements. `work` is given
/// the thread's number, takes well under a millisecond, and returns how many units it did.
pub(crate) fn rate(work: &(dyn Fn(usize) -> u64 + Sync)) -> f64 {
    let once = || {
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
    let mut rates: Vec<f64> = (0..MEASUREMENTS).map(|_| once()).collect();
    rates.sort_by(f64::total_cmp);
    rates[MEASUREMENTS / 2]
}

/// The same of work that this machine may lack the instructions for; `None` where it does.
pub(crate) fn rate_of(work: impl Fn() -> Option<u64> + Sync) -> Option<f64> {
    work().map(|_| rate(&|_| work().unwrap_or_default()))
}
