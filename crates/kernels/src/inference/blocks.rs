//! Decodes the block-quantised weights of GGUF files: blocks of small integers with scales.
//!
//! A model in full precision decodes its weights at every use, so the loops over blocks are compiled for
//! every vector width. References: llama.cpp `ggml-quants.c`, and the Python package `gguf`, whose values a
//! test of `bitkv-checkpoint` compares bit by bit.

mod five_bits;
mod four_bits;
mod half;
mod k_scales;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;

use crate::simd::dispatch;

/// Makes a function that decodes whole blocks from one that decodes a single block.
///
/// The instruction set is chosen for each block, and the loop over blocks is not part of what is compiled for
/// it. Otherwise the compiler would vectorise over blocks instead of over the values of a block, which is
/// many times slower.
macro_rules! blocks {
    ($(#[$meta:meta])* $name:ident, $values:literal, $bytes:literal) => {
        $(#[$meta])*
        ///
        /// Writes the values of all whole blocks for which `out` has room.
        pub fn $name(data: &[u8], out: &mut [f32]) {
            dispatch! {
                fn decode(block: &[u8; $bytes], out: &mut [f32; $values]) {
                    $name::decode(block, out);
                }
            }
            let (blocks, _) = data.as_chunks::<$bytes>();
            let (values, _) = out.as_chunks_mut::<$values>();
            blocks.iter().zip(values).for_each(|(block, out)| decode(block, out));
        }
    };
}

blocks!(/// Q4_0: blocks of 32 values in 18 bytes.
    q4_0, 32, 18);
blocks!(/// Q4_1: blocks of 32 values in 20 bytes.
    q4_1, 32, 20);
blocks!(/// Q5_0: blocks of 32 values in 22 bytes.
    q5_0, 32, 22);
blocks!(/// Q5_1: blocks of 32 values in 24 bytes.
    q5_1, 32, 24);
blocks!(/// Q8_0: blocks of 32 values in 34 bytes.
    q8_0, 32, 34);
blocks!(/// Q2_K: blocks of 256 values in 84 bytes.
    q2_k, 256, 84);
blocks!(/// Q3_K: blocks of 256 values in 110 bytes.
    q3_k, 256, 110);
blocks!(/// Q4_K: blocks of 256 values in 144 bytes.
    q4_k, 256, 144);
blocks!(/// Q5_K: blocks of 256 values in 176 bytes.
    q5_k, 256, 176);
blocks!(/// Q6_K: blocks of 256 values in 210 bytes.
    q6_k, 256, 210);

/// Reads the f16 scale at a position of a block.
pub fn scale(block: &[u8], at: usize) -> f32 {
    half::read(block, at)
}

/// Returns the 32 values of a block. Loops over an array of fixed length are compiled to vector instructions.
#[inline(always)]
fn values_of(out: &mut [f32]) -> &mut [f32; 32] {
    out.first_chunk_mut().expect("a block has 32 values")
}
