//! The codecs of block-quantised weights in GGUF files: blocks of small integers with scales.
//!
//! References: llama.cpp `ggml-quants.c`, and the Python package `gguf`, whose values a test compares bit by
//! bit.

use std::fmt;

use bitkv_kernels::blocks;

/// A coding of values in blocks.
#[derive(Clone, Copy)]
pub struct QuantCodec {
    /// The name in tables and errors.
    pub name: &'static str,
    /// The number by which GGUF files identify the type.
    pub id: u32,
    /// The number of values in a block.
    pub block: usize,
    /// The size of a block in bytes.
    pub bytes: usize,
    /// The positions of the f16 scales in a block.
    scales: &'static [usize],
    /// Writes the values of whole blocks, given their bytes.
    decode: fn(&[u8], &mut [f32]),
}

/// The codings that can be read, in the order of their numbers.
#[rustfmt::skip]
pub static QUANTS: &[QuantCodec] = &[
    QuantCodec { name: "Q4_0", id: 2, block: 32, bytes: 18, scales: &[0], decode: blocks::q4_0 },
    QuantCodec { name: "Q4_1", id: 3, block: 32, bytes: 20, scales: &[0, 2], decode: blocks::q4_1 },
    QuantCodec { name: "Q5_0", id: 6, block: 32, bytes: 22, scales: &[0], decode: blocks::q5_0 },
    QuantCodec { name: "Q5_1", id: 7, block: 32, bytes: 24, scales: &[0, 2], decode: blocks::q5_1 },
    QuantCodec { name: "Q8_0", id: 8, block: 32, bytes: 34, scales: &[0], decode: blocks::q8_0 },
    QuantCodec { name: "Q2_K", id: 10, block: 256, bytes: 84, scales: &[80, 82], decode: blocks::q2_k },
    QuantCodec { name: "Q3_K", id: 11, block: 256, bytes: 110, scales: &[108], decode: blocks::q3_k },
    QuantCodec { name: "Q4_K", id: 12, block: 256, bytes: 144, scales: &[0, 2], decode: blocks::q4_k },
    QuantCodec { name: "Q5_K", id: 13, block: 256, bytes: 176, scales: &[0, 2], decode: blocks::q5_k },
    QuantCodec { name: "Q6_K", id: 14, block: 256, bytes: 210, scales: &[208], decode: blocks::q6_k },
];

/// Returns the names of all codings, for error messages.
pub(crate) fn names() -> String {
    QUANTS.iter().map(|codec| codec.name).collect::<Vec<_>>().join(", ")
}

/// The largest number of values in a block.
const LARGEST: usize = 256;

impl QuantCodec {
    /// Writes the values `from .. from + out.len()`.
    ///
    /// # Panics
    /// Panics if they reach past the end of `data` or `from` is not the start of a block.
    pub fn read(&self, data: &[u8], from: usize, out: &mut [f32]) {
        assert!(from.is_multiple_of(self.block), "the start of a block");
        let data = &data[from / self.block * self.bytes..][..out.len().div_ceil(self.block) * self.bytes];
        let whole = out.len() / self.block;
        let (blocks, last) = data.split_at(whole * self.bytes);
        let (values, rest) = out.split_at_mut(whole * self.block);
        (self.decode)(blocks, values);
        if !rest.is_empty() {
            let mut block = [0.0; LARGEST];
            (self.decode)(last, &mut block[..self.block]);
            rest.copy_from_slice(&block[..rest.len()]);
        }
    }

    /// Returns the index of the first value of the first block with a scale that is infinite or NaN.
    pub fn first_not_finite(&self, data: &[u8]) -> Option<usize> {
        let bad = |block: &[u8]| self.scales.iter().any(|at| !blocks::scale(block, *at).is_finite());
        data.chunks_exact(self.bytes).position(bad).map(|block| block * self.block)
    }
}

impl fmt::Debug for QuantCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for QuantCodec {
    fn eq(&self, other: &QuantCodec) -> bool {
        self.id == other.id
    }
}

impl Eq for QuantCodec {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Returns the bytes that hexadecimal digits describe.
    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// Returns the blocks of a coding, and the bits of their values by the Python package `gguf`.
    fn known(codec: &QuantCodec) -> (Vec<u8>, Vec<u32>) {
        let json = include_str!("../../testdata/blocks/blocks.json");
        let all: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(json).unwrap();
        assert_eq!(all.len(), QUANTS.len());
        let values = from_hex(&all[codec.name]["values"]);
        let bits = values.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        (from_hex(&all[codec.name]["bytes"]), bits.collect())
    }

    #[test]
    fn values_are_those_of_the_python_package_gguf() {
        for codec in QUANTS {
            let (bytes, expected) = known(codec);
            assert_eq!(bytes.len() / codec.bytes * codec.block, expected.len(), "{codec:?}");
            let mut values = vec![9.0; expected.len()];
            codec.read(&bytes, 0, &mut values);
            for (i, (value, bits)) in values.iter().zip(&expected).enumerate() {
                let right = f32::from_bits(*bits);
                // Zeros may differ in their sign.
                assert!(
                    value.to_bits() == *bits || *value == 0.0 && right == 0.0,
                    "{codec:?} {i}: {value}, {right}"
                );
            }
        }
    }

    #[test]
    fn a_part_begins_at_a_block() {
        for codec in QUANTS {
            let (bytes, expected) = known(codec);
            let mut part = vec![0.0; codec.block + codec.block / 2 + 1];
            codec.read(&bytes, 2 * codec.block, &mut part);
            let mut all = vec![0.0; expected.len()];
            codec.read(&bytes, 0, &mut all);
            assert_eq!(part, all[2 * codec.block..][..part.len()], "{codec:?}");
            assert_ne!(all[2 * codec.block..3 * codec.block], all[3 * codec.block..], "{codec:?}");
        }
    }

    #[test]
    fn scales_are_finite() {
        for codec in QUANTS {
            let (bytes, _) = known(codec);
            assert_eq!(codec.first_not_finite(&bytes), None, "{codec:?}");
            for at in codec.scales {
                let mut bytes = bytes.clone();
                bytes[2 * codec.bytes + at..][..2].copy_from_slice(&[0x00, 0x7C]);
                assert_eq!(codec.first_not_finite(&bytes), Some(2 * codec.block), "{codec:?}");
                let mut values = vec![0.0; codec.block];
                codec.read(&bytes, 2 * codec.block, &mut values);
                assert!(values.iter().any(|value| !value.is_finite()), "{codec:?}: {at} is a scale");
            }
        }
    }
}
