//! Random packed checkpoints of any shape, for measuring what does not depend on the weights' meaning.

use std::{cell::RefCell, fs, io::Write, path::Path};

use safetensors::Dtype;

use crate::{
    AtomicFile, Config, Error, FloatType, LinearShape, Result, ScaleRule, WeightFormat,
    codec::folded,
    safetensors_file::{self, Entry, Progress},
    shapes::{EMBEDDING, HEAD},
};

/// Of 256 bytes of chance, how many become -1, and how many 1; the rest, 42 %, become 0, as in BitNet-b1.58-2B-4T.
const NONZERO: usize = 74;
/// Values made at once.
const PART: usize = 1 << 14;

/// Writes a packed checkpoint of random weights with the shape of `config` into `folder` (made if absent): bf16
/// floats, ternary codes with 42 % zeros, norms of 1, scales that keep the residual stream of order one. The
/// same seed gives the same files.
///
/// # Errors
/// When the folder holds a model already or cannot be written.
pub fn write_random(config: &Config, seed: u64, folder: &Path, progress: Progress<'_>) -> Result<()> {
    let config = Config { weights: WeightFormat::Packed(ScaleRule::Multiply), ..config.clone() };
    let names = ["model.safetensors", "config.json"].map(|name| folder.join(name));
    if let Some(path) = names.iter().find(|path| path.exists()) {
        return Err(Error::Exists { path: path.clone() });
    }
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
    let random = RefCell::new(Random(seed));
    let dense = [config.vocab_size, config.hidden_size];
    let mut entries = vec![floats(EMBEDDING, &dense, &random)];
    if !config.tie_word_embeddings {
        entries.push(floats(HEAD, &dense, &random));
    }
    for norm in config.all_norms() {
        let width = norm.width;
        let ones = move |to: &mut dyn Write| FloatType::Bf16.write(&vec![1.0; width], to);
        entries.push(Entry {
            name: norm.name,
            dtype: Dtype::BF16,
            shape: vec![width],
            values: Box::new(ones),
        });
    }
    for shape in config.all_linears() {
        entries.push(scale(&shape, config.num_hidden_layers));
        entries.push(codes(shape, &random));
    }
    safetensors_file::write(&names[0], entries, progress)?;
    let mut file = AtomicFile::create(&names[1])?;
    file.write_all(config.to_json().as_bytes()).map_err(|e| file.error(e))?;
    file.commit()
}

fn floats<'a>(name: &str, shape: &[usize; 2], random: &'a RefCell<Random>) -> Entry<'a> {
    let count = shape[0] * shape[1];
    let values = move |to: &mut dyn Write| {
        let mut random = random.borrow_mut();
        for first in (0..count).step_by(PART) {
            let part: Vec<f32> = (0..PART.min(count - first)).map(|_| random.near_normal()).collect();
            FloatType::Bf16.write(&part, to)?;
        }
        Ok(())
    };
    Entry { name: name.into(), dtype: Dtype::BF16, shape: shape.to_vec(), values: Box::new(values) }
}

/// An output is a sum of `0.58 * cols` terms of order one; each layer adds to the residual stream twice.
fn scale<'a>(shape: &LinearShape, layers: usize) -> Entry<'a> {
    let value = (1.0 / (0.58 * shape.cols as f64 * 2.0 * layers as f64).sqrt()) as f32;
    Entry {
        name: format!("{}.weight_scale", shape.name),
        dtype: Dtype::BF16,
        shape: vec![1],
        values: Box::new(move |to| FloatType::Bf16.write(&[value], to)),
    }
}

fn codes(shape: LinearShape, random: &RefCell<Random>) -> Entry<'_> {
    let LinearShape { name, rows, cols } = shape;
    let stride = folded::packed_rows(rows);
    // Chance to code, by a table.
    let table: [u8; 256] =
        std::array::from_fn(|i| if i < NONZERO { 0 } else { 1 + u8::from(i < 2 * NONZERO) });
    let values = move |to: &mut dyn Write| {
        let (mut random, mut bytes) = (random.borrow_mut(), vec![0u8; cols]);
        for packed in 0..stride {
            for pair in bytes.chunks_mut(2) {
                let chance = random.next().to_le_bytes();
                for (byte, chance) in pair.iter_mut().zip(chance.chunks_exact(4)) {
                    *byte = (0..4).fold(0, |byte, plane| {
                        // Rows past the end are zeros.
                        let inside = packed + plane * stride < rows;
                        let code = if inside { table[usize::from(chance[plane])] } else { 1 };
                        byte | code << (2 * plane)
                    });
                }
            }
            to.write_all(&bytes)?;
        }
        Ok(())
    };
    Entry {
        name: format!("{name}.weight"),
        dtype: Dtype::U8,
        shape: vec![stride, cols],
        values: Box::new(values),
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Mean 0 and variance 1: a sum of four uniform numbers.
    fn near_normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum();
        (sum as f32 / 65_536.0 - 2.0) * 3f32.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checkpoint;

    #[test]
    fn opens_and_repeats() {
        let json = r#"{"architectures":["BitNetForCausalLM"],"vocab_size":61,"hidden_size":36,"intermediate_size":50,
            "num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":2,"tie_word_embeddings":false}"#;
        let config = Config::from_json(json, "config.json").unwrap();
        let make = |seed| {
            let folder = tempfile::tempdir().unwrap();
            write_random(&config, seed, folder.path(), &mut |_, _| ()).unwrap();
            assert!(
                write_random(&config, seed, folder.path(), &mut |_, _| ()).is_err(),
                "nothing is replaced"
            );
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            assert_eq!(checkpoint.embedding().unwrap().rows(), 61);
            assert!(checkpoint.head().unwrap().is_some());
            let mut counts = [0; 4];
            for shape in config.all_linears() {
                let found = checkpoint.linear(&shape).unwrap().histogram();
                counts.iter_mut().zip(found).for_each(|(sum, count)| *sum += count);
            }
            (std::fs::read(folder.path().join("model.safetensors")).unwrap(), counts)
        };
        let (bytes, counts) = make(1);
        assert_eq!((make(1).0 == bytes, make(2).0 == bytes), (true, false));
        let all: u64 = counts.iter().sum();
        let zeros = counts[1] as f64 / all as f64;
        assert!(counts[3] == 0 && (zeros - 0.42).abs() < 0.02, "{counts:?}");
    }
}
