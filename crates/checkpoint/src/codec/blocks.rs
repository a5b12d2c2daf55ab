//! Blocks of 256 ternary codes, each followed by an f16 scale. TQ1_0 and TQ2_0 of llama.cpp share these
//! functions.

use half::f16;

/// The number of codes in a block.
pub(super) const BLOCK: usize = 256;

/// Returns the size in bytes of a tensor of `values` codes; `None` unless its rows of `cols` codes consist of
/// whole blocks.
pub(super) fn length<const BYTES: usize>(cols: usize, values: usize) -> Option<usize> {
    cols.is_multiple_of(BLOCK).then_some(values / BLOCK * BYTES)
}

/// Writes the codes of row `row` to `out`. Rows consist of whole blocks, and `unpack` decodes one block. A
/// block whose scale is 0 decodes to zeros.
pub(super) fn decode_row<const BYTES: usize>(
    data: &[u8],
    row: usize,
    out: &mut [u8],
    unpack: impl Fn(&[u8; BYTES], &mut [u8; BLOCK]),
) {
    let blocks = out.len() / BLOCK;
    let blocks = &data.as_chunks::<BYTES>().0[row * blocks..][..blocks];
    for (block, out) in blocks.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
        if block_scale(block) == 0.0 {
            out.fill(1);
        } else {
            unpack(block, out);
        }
    }
}

/// Appends a row of whole blocks to `to`. `pack` encodes one block; every block gets the scale `d`.
pub(super) fn encode_row(codes: &[u8], d: f16, to: &mut Vec<u8>, pack: impl Fn(&[u8; BLOCK], &mut Vec<u8>)) {
    for block in codes.as_chunks::<BLOCK>().0 {
        pack(block, to);
        to.extend(d.to_le_bytes());
    }
}

/// Returns the scale that all blocks share; blocks of scale 0 are ignored. Returns 0 if all scales are 0, and
/// `None` if the scales differ.
pub(super) fn scale<const BYTES: usize>(data: &[u8]) -> Option<f32> {
    let mut scales = data.as_chunks::<BYTES>().0.iter().map(block_scale);
    let Some(first) = scales.find(|d| *d != 0.0) else { return Some(0.0) };
    (!first.is_nan() && scales.all(|d| d == 0.0 || d == first)).then_some(first)
}

fn block_scale<const BYTES: usize>(block: &[u8; BYTES]) -> f32 {
    f16::from_le_bytes([block[BYTES - 2], block[BYTES - 1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use super::{super::CODECS, *};

    #[test]
    fn blocks_share_a_scale_or_hold_zeros() {
        for codec in CODECS.iter().filter(|codec| codec.block == BLOCK) {
            let block = |code: u8, d: f32| {
                let mut bytes = Vec::new();
                (codec.encoding.unwrap().encode_row)(&[code; BLOCK], d, &mut bytes);
                bytes
            };
            let scale = |data: &[u8]| (codec.scale)(data, 0);
            let mut codes = [9; 3 * BLOCK];
            let data = [block(2, 0.5), block(0, 0.0), block(0, 0.5)].concat();
            (codec.decode_row)(&data, 0, &mut codes);
            assert_eq!(([0, 255, 256, 511, 512, 767].map(|i| codes[i])), [2, 2, 1, 1, 0, 0], "{codec:?}");
            assert!(codes[BLOCK..2 * BLOCK].iter().all(|code| *code == 1), "{codec:?}");
            assert_eq!(scale(&data), Some(0.5));
            assert_eq!(scale(&[block(2, 0.5), block(2, 0.25)].concat()), None);
            assert_eq!(scale(&block(1, 0.0)), Some(0.0));
            assert_eq!(scale(&[block(2, f32::NAN), block(2, 1.0)].concat()), None);
        }
    }
}
