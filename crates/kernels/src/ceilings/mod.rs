//! Loops that keep one unit of this machine as busy as it can be: what kernels are compared with. Each call does a fixed
//! amount of work, well under a millisecond of it, and says how much that was. They are the machine's, whatever
//! `BITKV_ISA` says.

mod dot;
#[cfg(target_arch = "x86_64")]
mod dot_x86;
mod float;
mod read;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use dot::Dot;
pub use float::multiply_and_add;
pub use read::{PIECE, read_front_to_back, read_several_streams};

/// Multiplies and adds bf16 numbers by AMX tiles, four loads for four products as in a real kernel. Returns how many
/// multiplications and additions it did, or `None` where there are no tiles.
pub fn multiply_bf16_tiles() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        tiles::available().then(tiles::bf16)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}
