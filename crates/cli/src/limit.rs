//! The limits on the memory and the time of a command, which are checked before and during its work.

use anyhow::{Result, ensure};
use bitkv_bytes::MemoryLimit;

use crate::budget::{Bytes, bytes};

/// The limit on memory.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LimitArguments {
    /// The most memory that the work may take, such as 8GiB [default: what is available]. Work that is
    /// estimated to take more is refused.
    #[arg(long, value_name = "SIZE", value_parser = bytes, allow_negative_numbers = true)]
    max_memory: Option<Bytes>,
}

impl LimitArguments {
    /// Returns the limit.
    pub(crate) fn memory(self) -> MemoryLimit {
        MemoryLimit::new(self.max_memory.map(|Bytes(bytes)| bytes as u64))
    }
}

/// The limits on a run of experiments.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct RunLimitArguments {
    #[command(flatten)]
    memory: LimitArguments,
    /// The most seconds that a cell may take, instead of `cell_seconds` of the definition. A cell that takes
    /// longer fails, and the run continues.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    cell_seconds: Option<f64>,
}

impl RunLimitArguments {
    /// Returns the limit on memory.
    pub(crate) fn memory(self) -> MemoryLimit {
        self.memory.memory()
    }

    /// Returns the limit on the seconds of a cell.
    ///
    /// # Errors
    /// When it is not a number above 0.
    pub(crate) fn cell_seconds(self) -> Result<Option<f64>> {
        if let Some(seconds) = self.cell_seconds {
            ensure!(
                seconds > 0.0 && seconds.is_finite(),
                "--cell-seconds {seconds} is not a time limit: give a number of seconds above 0"
            );
        }
        Ok(self.cell_seconds)
    }
}

/// Checks a count that an option gives.
///
/// # Errors
/// When it is more than `most`. The message names the option.
pub(crate) fn check_count(option: &str, count: usize, most: usize) -> Result<()> {
    ensure!(count <= most, "{option} {count} is too many: use at most {most}");
    Ok(())
}

/// The most tokens that an option may ask for. No model reads as many.
pub(crate) const MOST_TOKENS: usize = 1 << 26;
