//! The two-bit packing of transformers. Bits `2i` and `2i + 1` of a byte in packed row `r` are a code of row
//! `r + i * ceil(rows / 4)`.
//!
//! Reference: transformers `integrations/bitnet.py`, `pack_weights` and `unpack_weights`.

/// A byte of four weights that are zero: the padding for rows after the end of the matrix.
const ZEROS: u8 = 0x55;

/// Returns the number of packed rows of a matrix with `rows` rows.
pub fn packed_rows(rows: usize) -> usize {
    rows.div_ceil(4)
}

/// Writes the codes of row `row` of a matrix `[rows, out.len()]` that is packed in `data`,
/// `[ceil(rows / 4), cols]`.
///
/// # Panics
/// Panics if `data` is too short.
pub fn decode_row(data: &[u8], rows: usize, row: usize, out: &mut [u8]) {
    let (stride, cols) = (packed_rows(rows), out.len());
    let shift = 2 * (row / stride);
    let bytes = &data[row % stride * cols..][..cols];
    out.iter_mut().zip(bytes).for_each(|(code, byte)| *code = (byte >> shift) & 3);
}

/// Packs the four rows that share packed row `packed` of a matrix `[rows, out.len()]`. `codes(row, out)`
/// writes the codes of a row; `row` is a buffer for one row.
pub fn encode_row(
    rows: usize,
    packed: usize,
    row: &mut [u8],
    out: &mut [u8],
    codes: impl Fn(usize, &mut [u8]),
) {
    out.fill(ZEROS);
    for plane in 0..4 {
        let at = packed + plane * packed_rows(rows);
        if at < rows {
            codes(at, row);
            let shift = 2 * plane;
            out.iter_mut().zip(&*row).for_each(|(byte, code)| *byte = *byte & !(3 << shift) | code << shift);
        }
    }
}

/// Returns the packed bytes of a matrix `[rows, cols]`. `codes(row, out)` writes the codes of a row to `out`.
pub fn encode(rows: usize, cols: usize, codes: impl Fn(usize, &mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; packed_rows(rows) * cols];
    let mut row = vec![0; cols];
    for (packed, out) in bytes.chunks_exact_mut(cols).enumerate() {
        encode_row(rows, packed, &mut row, out, &codes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_bytes() {
        let data = [0xA1, 0x18, 0x90, 0x0A];
        let expected = [[0, -1], [-1, 1], [-1, 1], [-1, 1], [1, 0], [0, -1], [1, -1], [1, -1]];
        for (row, expected) in expected.iter().enumerate() {
            let mut out = [0; 2];
            decode_row(&data, 8, row, &mut out);
            assert_eq!(out.map(|code| code as i8 - 1), *expected, "row {row}");
        }
    }

    proptest! {
        #[test]
        fn any_shape_survives(rows in 1usize..23, cols in 1usize..70, seed in any::<u64>()) {
            let code = |row: usize, col: usize| {
                ((seed ^ (row * cols + col) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as u8 % 3
            };
            let data = encode(rows, cols, |row, out| (0..cols).for_each(|col| out[col] = code(row, col)));
            prop_assert_eq!(data.len(), rows.div_ceil(4) * cols);
            for row in 0..rows {
                let mut out = vec![9; cols];
                decode_row(&data, rows, row, &mut out);
                prop_assert!((0..cols).all(|col| out[col] == code(row, col)), "row {}", row);
            }
        }
    }
}
