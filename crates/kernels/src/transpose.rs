//! In-place transposition of 16 x 16 words.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Transposes 16 x 16 words in place.
#[inline]
pub(crate) fn transpose(words: &mut [u32; 256]) {
    #[cfg(target_arch = "x86_64")]
    if crate::level() == crate::Level::Avx512 {
        // SAFETY: `level` found AVX-512 F.
        return unsafe { transpose_avx512(words) };
    }
    for row in 0..16 {
        for column in 0..row {
            words.swap(row * 16 + column, column * 16 + row);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn transpose_avx512(words: &mut [u32; 256]) {
    let at = words.as_mut_ptr().cast::<__m512i>();
    // SAFETY: 256 words are 16 registers.
    let mut rows: [__m512i; 16] = std::array::from_fn(|i| unsafe { _mm512_loadu_si512(at.add(i)) });
    transpose_registers(&mut rows);
    for (i, row) in rows.iter().enumerate() {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(at.add(i), *row) };
    }
}

/// Transposes 16 registers of 16 words: word `i` of register `j` becomes word `j` of register `i`.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transpose_registers(r: &mut [__m512i; 16]) {
    let mut t = *r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for i in 0..4 {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for group in 0..2 {
        for i in 0..4 {
            let (low, high) = (r[8 * group + i], r[8 * group + 4 + i]);
            t[8 * group + i] = _mm512_shuffle_i32x4::<0x88>(low, high);
            t[8 * group + 4 + i] = _mm512_shuffle_i32x4::<0xdd>(low, high);
        }
    }
    for i in 0..8 {
        r[i] = _mm512_shuffle_i32x4::<0x88>(t[i], t[8 + i]);
        r[8 + i] = _mm512_shuffle_i32x4::<0xdd>(t[i], t[8 + i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let mut words = std::array::from_fn(|i| i as u32);
        transpose(&mut words);
        assert!((0..256).all(|i| words[i] == (i % 16 * 16 + i / 16) as u32), "{words:?}");
    }
}
