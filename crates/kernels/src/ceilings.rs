//! Loops that keep one unit of this machine as busy as it can be: what kernels are compared with. Each call does a fixed
//! amount of work, well under a millisecond of it, and says how much that was. They are the machine's, whatever
//! `BITKV_ISA` says.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_that_is_available_works_and_no_other() {
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
