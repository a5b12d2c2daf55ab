//! Packs activations as right operands.

use std::arch::x86_64::*;

use half::{bf16, slice::HalfBitsSliceExt};
use rayon::prelude::*;

use super::{DEPTH, SIDE};
use crate::{simd::dispatch, transpose::transpose};

/// Activations, each split into `PARTS` bf16 numbers: three whose sum is exact, or a single rounded one.
pub(super) struct Packed<const PARTS: usize> {
    /// `[groups of up to 16 tokens][steps][parts]`, each entry a tile of 16 pairs of columns by the tokens of
    /// the group. One row of a tile follows as padding, because a tile of fewer than 16 tokens also reads the
    /// words after its own.
    words: Vec<u32>,
    pub(super) tokens: usize,
    pub(super) steps: usize,
}

impl<const PARTS: usize> Packed<PARTS> {
    /// Packs `x [tokens, cols]`. Columns are padded with zeros to whole steps.
    ///
    /// # Safety
    /// If there is one part, the machine must have AVX-512 F, BW and BF16.
    pub(super) unsafe fn new(x: &[f32], cols: usize) -> Self {
        let (tokens, steps) = (x.len() / cols, cols.div_ceil(DEPTH));
        let per_token = steps * PARTS * SIDE;
        let mut words = vec![0; tokens * per_token + SIDE];
        words[..tokens * per_token]
            .par_chunks_mut(SIDE * per_token)
            .zip(x.par_chunks(SIDE * cols))
            // SAFETY: the caller guarantees the instructions.
            .for_each(|(words, x)| unsafe { pack::<PARTS>(words, x, cols) });
        Packed { words, tokens, steps }
    }

    /// Returns the words from the group on that starts at token `first`.
    pub(super) fn group(&self, first: usize) -> &[u32] {
        &self.words[first * self.steps * PARTS * SIDE..]
    }
}

/// Packs one group of tokens.
///
/// # Safety
/// If there is one part, the machine must have AVX-512 F, BW and BF16.
unsafe fn pack<const PARTS: usize>(words: &mut [u32], x: &[f32], cols: usize) {
    let (tokens, stride) = (x.len() / cols, cols.next_multiple_of(DEPTH));
    // The parts of each token, `[parts][tokens, stride]`.
    let mut parts = vec![vec![0; tokens * stride]; PARTS];
    let mut rest = Vec::new();
    for (t, x) in x.chunks_exact(cols).enumerate() {
        let mut rows = parts.iter_mut().map(|part| &mut part[t * stride..][..cols]);
        if PARTS == 1 {
            let row = rows.next().expect("there is one part").reinterpret_cast_mut();
            // SAFETY: the caller guarantees the instructions.
            unsafe { round_all(x, row) }
        } else {
            rest.clear();
            rest.extend_from_slice(x);
            rows.for_each(|row| truncate_all(&mut rest, row));
        }
    }
    for (i, tile) in words.chunks_exact_mut(SIDE * tokens).enumerate() {
        let part = &parts[i % PARTS][i / PARTS * DEPTH..];
        write_tile(tile, part, stride, tokens);
    }
}

/// Writes the pairs of columns of a step, `[16 pairs, tokens]`. Rows of `values` are `stride` apart.
fn write_tile(tile: &mut [u32], values: &[u16], stride: usize, tokens: usize) {
    let pairs = |t: usize| values[t * stride..][..DEPTH].as_chunks::<2>().0;
    let word = |[low, high]: [u16; 2]| u32::from(low) | u32::from(high) << 16;
    match <&mut [u32; SIDE * SIDE]>::try_from(&mut *tile) {
        Ok(tile) => {
            for (t, row) in tile.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
                row.iter_mut().zip(pairs(t)).for_each(|(to, pair)| *to = word(*pair));
            }
            transpose(tile);
        }
        Err(_) => {
            for t in 0..tokens {
                pairs(t).iter().enumerate().for_each(|(k, pair)| tile[k * tokens + t] = word(*pair));
            }
        }
    }
}

/// Rounds numbers to the nearest bf16, and ties to the even one. Subnormal numbers become zero, as in
/// products on these units.
///
/// The instruction packs two registers. A loop over single numbers is compiled to stores of half registers,
/// which take several times longer on some processors.
///
/// # Safety
/// The machine must have AVX-512 F, BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn round_all(from: &[f32], to: &mut [bf16]) {
    assert!(to.len() >= from.len());
    for (from, to) in from.chunks(DEPTH).zip(to.chunks_mut(DEPTH)) {
        let mask = u32::MAX >> (DEPTH - from.len());
        // SAFETY: only the numbers of the mask are read and written, and they are inside the slices.
        unsafe {
            let low = _mm512_maskz_loadu_ps(mask as u16, from.as_ptr());
            let high = _mm512_maskz_loadu_ps((mask >> 16) as u16, from.as_ptr().wrapping_add(SIDE));
            let rounded: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_mask_storeu_epi16(to.as_mut_ptr().cast(), mask, rounded);
        }
    }
}

dispatch! {
    /// Moves the leading bf16 part of each number to `parts`, as bits.
    ///
    /// Parts are truncated and not rounded, because truncation never overflows. The sum of three parts is
    /// exactly the number.
    fn truncate_all(rest: &mut [f32], parts: &mut [u16]) {
        for (x, part) in rest.iter_mut().zip(parts) {
            let bits = x.to_bits() & 0xffff_0000;
            *part = (bits >> 16) as u16;
            *x -= f32::from_bits(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn three_parts_sum_to_the_number(x in prop_oneof![-1e4f32..1e4, -1e-30f32..1e-30, any::<f32>()]) {
            // For smaller numbers the lowest part is below the range of f32.
            prop_assume!(x.is_finite() && x.abs() > 1e-30);
            let (mut rest, mut sum) = ([x], 0.0);
            for _ in 0..3 {
                let mut part = [0];
                truncate_all(&mut rest, &mut part);
                sum += bf16::from_bits(part[0]).to_f64();
            }
            prop_assert_eq!(sum, f64::from(x));
        }
    }

    #[test]
    fn one_part_is_the_nearest_bf16() {
        if !crate::extension::Extension::Bf16.works() {
            return;
        }
        for count in [1, 15, 16, 17, 31, 32, 33, 77] {
            // Numbers of all magnitudes, and ties.
            let x: Vec<f32> = (0..count)
                .map(|i| f32::from_bits((0x0100_0000 + i * 0x00c0_8765) & 0x7fff_8000 | i << 31))
                .filter(|x| x.is_normal())
                .collect();
            let mut rounded = vec![bf16::NAN; x.len()];
            // SAFETY: the machine has the instructions.
            unsafe { round_all(&x, &mut rounded) }
            let expected: Vec<bf16> = x.iter().map(|x| bf16::from_f32(*x)).collect();
            assert_eq!(rounded, expected);
        }
    }

    /// Every word has the pair of columns of its token, in the tile of its step and part.
    #[test]
    fn words_are_where_the_units_read_them() {
        for (tokens, cols) in [(1, 64), (5, 33), (16, 32), (20, 95), (48, 7)] {
            let x: Vec<f32> = (0..tokens * cols).map(|i| (i as f32 - 300.0) * 1.001).collect();
            // SAFETY: three parts need no instructions.
            let packed = unsafe { Packed::<3>::new(&x, cols) };
            for t in 0..tokens {
                let (first, width) = (t / SIDE * SIDE, SIDE.min(tokens - t / SIDE * SIDE));
                for column in 0..cols {
                    let (step, pair, half) = (column / DEPTH, column % DEPTH / 2, column % 2);
                    let parts = (0..3).map(|part| {
                        let tile = &packed.group(first)[(step * 3 + part) * SIDE * width..];
                        let word = tile[pair * width + t - first];
                        f64::from(f32::from_bits(if half == 0 { word << 16 } else { word & 0xffff_0000 }))
                    });
                    let (sum, expected) = (parts.sum::<f64>(), f64::from(x[t * cols + column]));
                    assert_eq!(sum, expected, "token {t}, column {column} of [{tokens}, {cols}]");
                }
            }
        }
    }
}
