//! Loops that measure the peak rates of this machine, with which kernels are compared.
//!
//! [`Dot`] multiplies int8 numbers, [`multiply_bf16_tiles`] multiplies bf16 numbers, and [`multiply_and_add`]
//! multiplies f32 numbers. [`read_front_to_back`] and [`read_several_streams`] read memory. Each arithmetic
//! call does a fixed amount of work, well under a millisecond, and returns the number of operations. The
//! loops use every instruction set that the machine has, regardless of `BITKV_ISA`.

mod dot;
#[cfg(target_arch = "x86_64")]
mod dot_x86;
mod float;
mod read;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use dot::Dot;
pub use float::multiply_and_add;
pub use read::{PIECE, read_front_to_back, read_several_streams};

/// Multiplies and adds bf16 numbers with AMX tiles, with four loads for four products as in a real kernel.
///
/// Returns the number of multiplications and additions, or `None` if the machine has no AMX.
pub fn multiply_bf16_tiles() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        tiles::available().then(tiles::bf16)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_available_instructions_run() {
        for dot in [Dot::Plain, Dot::Avx2, Dot::Vnni256, Dot::Vnni512, Dot::Amx] {
            let done = dot.run();
            assert_eq!(done.is_some(), Dot::available().contains(&dot), "{dot:?}");
            assert!(done.is_none_or(|done| done > 0), "{dot:?}: {done:?}");
        }
        let tiles = multiply_bf16_tiles();
        assert_eq!(tiles.is_some(), Dot::available().contains(&Dot::Amx));
        assert!(tiles.is_none_or(|done| done > 0) && multiply_and_add() > 0);
    }

    #[test]
    fn every_word_is_read() {
        let mut words = vec![0; PIECE];
        for at in [0, 1, PIECE / 4, PIECE - 1] {
            words[at] = 1 << (at % 64);
            let expected = words.iter().fold(0, |sum, word| sum ^ word);
            assert_eq!([read_front_to_back(&words), read_several_streams(&words)], [expected; 2]);
        }
    }
}
