//! The tensors of a random checkpoint, which are generated part by part.

use bitkv_stats::Rng;
use half::bf16;
use safetensors::Dtype;

use crate::{
    Coding, Config, LinearShape,
    codec::packed_u8,
    shapes::{EMBEDDING, LM_HEAD},
};

/// The number of bytes that are generated at once, from one random sequence.
pub(super) const PART: usize = 1 << 16;
/// The number of values of a random byte that become the weight -1, and the number that become 1. The other
/// 42 % become 0, as in BitNet-b1.58-2B-4T.
const NONZERO: usize = 74;

/// What a tensor holds.
#[derive(Clone)]
enum Values {
    /// bf16 values with mean 0 and variance 1.
    Normal,
    /// bf16 values that are all the same.
    Constant(f32),
    /// The ternary codes of a matrix of `rows` rows, packed four rows to a byte.
    Codes { rows: usize },
}

/// A tensor that can be generated.
#[derive(Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    values: Values,
}

/// Returns every tensor of a configuration.
pub(super) fn all(config: &Config) -> Vec<Tensor> {
    let dense = |name: &str| Tensor {
        name: name.into(),
        shape: vec![config.vocab_size, config.hidden_size],
        values: Values::Normal,
    };
    let mut all = vec![dense(EMBEDDING)];
    all.extend((!config.tie_word_embeddings).then(|| dense(LM_HEAD)));
    all.extend(config.all_norms().map(|norm| Tensor {
        name: norm.name,
        shape: vec![norm.width],
        values: Values::Constant(1.0),
    }));
    all.extend(config.all_linears().flat_map(|shape| {
        let LinearShape { name, rows, cols, .. } = &shape;
        let codes = Tensor {
            name: format!("{name}.weight"),
            shape: vec![packed_u8::packed_rows(*rows), *cols],
            values: Values::Codes { rows: *rows },
        };
        [scale(&shape, config.num_hidden_layers), codes]
    }));
    all
}

/// Returns the scale tensor of a layer. An output is a sum of `0.58 * cols` terms of order one, and each
/// layer adds to the residual stream twice; with this scale the stream stays of order one.
fn scale(shape: &LinearShape, layers: usize) -> Tensor {
    let value = (1.0 / (0.58 * shape.cols as f64 * 2.0 * layers as f64).sqrt()) as f32;
    Tensor { name: format!("{}.weight_scale", shape.name), shape: vec![1], values: Values::Constant(value) }
}

impl Tensor {
    /// Returns the safetensors type.
    pub(super) fn dtype(&self) -> Dtype {
        match self.values {
            Values::Codes { .. } => Dtype::U8,
            Values::Normal | Values::Constant(_) => Dtype::BF16,
        }
    }

    /// Returns the coding.
    pub(super) fn coding(&self) -> Coding {
        Coding::from_dtype(self.dtype())
    }

    /// Returns the size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype().bitsize() / 8
    }

    /// Writes the bytes of the tensor from byte `part * PART` on to `out`.
    pub(super) fn fill(&self, seed: u64, part: usize, out: &mut [u8]) {
        let mut random = part_rng(seed, &self.name, part);
        let (pairs, _) = out.as_chunks_mut::<2>();
        match self.values {
            Values::Normal => {
                pairs.iter_mut().for_each(|p| *p = bf16::from_f32(random.near_normal()).to_le_bytes());
            }
            Values::Constant(value) => {
                pairs.iter_mut().for_each(|p| *p = bf16::from_f32(value).to_le_bytes());
            }
            Values::Codes { rows } => fill_codes(&mut random, [rows, self.shape[1]], part * PART, out),
        }
    }
}

/// Returns the random number generator for a part of a tensor. Each part has its own, so that parts can be
/// generated in any order.
fn part_rng(seed: u64, tensor: &str, part: usize) -> Rng {
    // This is the hash FNV-1a (Fowler, Noll and Vo).
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let bytes = tensor.bytes().chain(seed.to_le_bytes()).chain((part as u64).to_le_bytes());
    Rng::new(Rng::new(bytes.fold(0xCBF2_9CE4_8422_2325, mix)).next_u64())
}

/// Writes the bytes of a packed matrix `[rows, cols]` to `out`, from byte `first` on.
fn fill_codes(random: &mut Rng, [rows, cols]: [usize; 2], first: usize, out: &mut [u8]) {
    // The table maps a random byte to a code.
    let table: [u8; 256] =
        std::array::from_fn(|i| if i < NONZERO { 0 } else { 1 + u8::from(i < 2 * NONZERO) });
    for pair in out.chunks_mut(2) {
        let bytes = random.next_u64().to_le_bytes();
        for (byte, random_bytes) in pair.iter_mut().zip(bytes.chunks_exact(4)) {
            *byte =
                (0..4).fold(0, |byte, plane| byte | table[usize::from(random_bytes[plane])] << (2 * plane));
        }
    }
    // Rows past the end of the matrix are zeros.
    let stride = packed_u8::packed_rows(rows);
    for plane in 0..4 {
        let inside = rows.saturating_sub(plane * stride) * cols;
        let outside = inside.saturating_sub(first).min(out.len());
        out[outside..].iter_mut().for_each(|byte| *byte = *byte & !(3 << (2 * plane)) | 1 << (2 * plane));
    }
}
