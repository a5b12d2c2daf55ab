//! Packs f32 rows into bf16 blocks.

use rayon::prelude::*;

use super::{BLOCK, SIDE};
use crate::{simd::dispatch, transpose::transpose};

/// Returns the bits of the bf16 that is nearest to `x`, ties to even.
#[inline(always)]
pub fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// Rounds two values to bf16 and joins them in a word.
#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    round(low) as u32 | (round(high) as u32) << 16
}

dispatch! {
/// Packs an *A* block from 32 rows of 32 values, `stride` floats apart.
pub fn pack_a(block: &mut [u16], rows: &[f32], stride: usize) {
    for (row, out) in block[..BLOCK].chunks_exact_mut(SIDE).enumerate() {
        let from = &rows[row * stride..][..SIDE];
        for i in 0..SIDE {
            out[i] = round(from[i]);
        }
    }
}
}

dispatch! {
/// Packs a *B* block from 32 rows of 32 values, `stride` floats apart. Products sum over the rows.
pub fn pack_b(block: &mut [u16], rows: &[f32], stride: usize) {
    for k in 0..SIDE / 2 {
        let even = &rows[2 * k * stride..][..SIDE];
        let odd = &rows[(2 * k + 1) * stride..][..SIDE];
        for half in 0..2 {
            let mut words = [0u32; 16];
            for n in 0..16 {
                words[n] = pair(even[half * 16 + n], odd[half * 16 + n]);
            }
            store(&mut block[half * 512 + k * 32..][..32], &words);
        }
    }
}
}

/// Packs a *B* block from 32 rows of 32 values, `stride` floats apart. Products sum over the positions within
/// a row.
pub fn pack_b_transposed(block: &mut [u16], rows: &[f32], stride: usize) {
    for half in 0..2 {
        let mut words = [0u32; 256];
        pairs_along_rows(&mut words, &rows[half * 16 * stride..], stride);
        transpose(&mut words);
        store(&mut block[half * 512..][..512], &words);
    }
}

/// Packs an *A* block whose rows are 32 columns of `rows`: `a[m][k] = rows[k][m] * scale[k]`.
pub fn pack_a_transposed(block: &mut [u16], rows: &[f32], stride: usize, scale: Option<&[f32]>) {
    for half in 0..2 {
        let mut words = [0u32; 256];
        match scale {
            Some(scale) => pairs_across_scaled(&mut words, &rows[half * 16..], stride, scale),
            None => pairs_across(&mut words, &rows[half * 16..], stride),
        }
        transpose(&mut words);
        store(&mut block[half * 512..][..512], &words);
    }
}

dispatch! {
/// Writes 16 rows of 16 pairs; the two values of a pair are neighbours within a row.
fn pairs_along_rows(words: &mut [u32; 256], rows: &[f32], stride: usize) {
    for (row, out) in words.chunks_exact_mut(16).enumerate() {
        let from = &rows[row * stride..][..SIDE];
        for i in 0..16 {
            out[i] = pair(from[2 * i], from[2 * i + 1]);
        }
    }
}
}

dispatch! {
/// Writes 16 rows of 16 pairs; each pair takes one value from each of two neighbouring rows.
fn pairs_across(words: &mut [u32; 256], rows: &[f32], stride: usize) {
    for (k, out) in words.chunks_exact_mut(16).enumerate() {
        let even = &rows[2 * k * stride..][..16];
        let odd = &rows[(2 * k + 1) * stride..][..16];
        for i in 0..16 {
            out[i] = pair(even[i], odd[i]);
        }
    }
}
}

dispatch! {
/// Does the same as [`pairs_across`] with a factor for each row.
fn pairs_across_scaled(words: &mut [u32; 256], rows: &[f32], stride: usize, scale: &[f32]) {
    for (k, out) in words.chunks_exact_mut(16).enumerate() {
        let even = &rows[2 * k * stride..][..16];
        let odd = &rows[(2 * k + 1) * stride..][..16];
        for i in 0..16 {
            out[i] = pair(even[i] * scale[2 * k], odd[i] * scale[2 * k + 1]);
        }
    }
}
}

/// Writes pairs in the memory order of a little-endian machine: the lower half first.
#[inline(always)]
fn store(block: &mut [u16], words: &[u32]) {
    assert_eq!(block.len(), 2 * words.len());
    if cfg!(target_endian = "little") {
        // SAFETY: both are plain bytes of the same length, and a `&mut` slice overlaps no other slice.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr().cast(), block.as_mut_ptr(), block.len()) };
        return;
    }
    for (out, word) in block.chunks_exact_mut(2).zip(words) {
        out[0] = *word as u16;
        out[1] = (*word >> 16) as u16;
    }
}

/// Packs all *B* blocks of `w [n, k]` for products that sum over `k`. The layout is `[n / 32][k / 32]`.
pub fn pack_b_transposed_all(w: &[f32], n: usize, k: usize) -> Vec<u16> {
    pack_all(n, k, |i, j, block| pack_b_transposed(block, &w[i * SIDE * k + j * SIDE..], k))
}

/// Packs all *B* blocks of `x [k, n]` for products that sum over `k`. The layout is `[n / 32][k / 32]`.
pub fn pack_b_all(x: &[f32], k: usize, n: usize) -> Vec<u16> {
    pack_all(n, k, |i, j, block| pack_b(block, &x[j * SIDE * n + i * SIDE..], n))
}

fn pack_all(n: usize, k: usize, pack: impl Fn(usize, usize, &mut [u16]) + Sync) -> Vec<u16> {
    assert!(n.is_multiple_of(SIDE) && k.is_multiple_of(SIDE), "{n} x {k} is not a multiple of {SIDE}");
    let mut blocks = vec![0u16; n * k];
    blocks.par_chunks_mut(k / SIDE * BLOCK).enumerate().for_each(|(i, row)| {
        row.chunks_exact_mut(BLOCK).enumerate().for_each(|(j, block)| pack(i, j, block));
    });
    blocks
}
