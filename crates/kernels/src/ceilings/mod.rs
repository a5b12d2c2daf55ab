//! What this machine can do, measured on the spot: the ceilings that kernels are compared with.
//!
//! Every measurement keeps all threads of the current rayon pool at one loop for a few tens of milliseconds, several times
//! over, and gives the median. Rates are of the whole pool. They are the machine's, whatever `BITKV_ISA` says.

mod dot;
#[cfg(target_arch = "x86_64")]
mod dot_x86;
mod float;
mod read;
#[cfg(target_arch = "x86_64")]
mod tiles;

use std::time::{Duration, Instant};

pub use dot::Dot;
pub use float::f32_ops_per_second;
pub use read::{ReadBuffer, Streams};

/// How long one measurement takes.
const DURATION: Duration = Duration::from_millis(25);
/// Measurements whose median counts.
const MEASUREMENTS: usize = 3;

/// bf16 multiplications and additions a second by AMX tiles, four loads for four products as in a real kernel; none where
/// there are no tiles.
pub fn amx_bf16_ops_per_second() -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    {
        tiles::available().then(|| rate(&|_| tiles::bf16()))
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Units a second of all threads together; `work` is given the thread's number, takes well under a millisecond, and
/// returns how many units it did.
fn rate(work: &(dyn Fn(usize) -> u64 + Sync)) -> f64 {
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

#[cfg(test)]
mod tests;
