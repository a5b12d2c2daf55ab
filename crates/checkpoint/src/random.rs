//! Checkpoints of random packed weights of any shape, for measurements of speed and memory.

mod tensor;
mod write;

use bitkv_bytes::Pages;
use rayon::prelude::*;

use crate::{Bytes, Config, Error, Result, ScaleRule, StoredTensor, WeightFormat};

use self::tensor::{PART, Tensor};

pub use write::write_random;

/// Packed random weights of a configuration. A tensor is generated from the seed whenever it is read: bf16
/// floats, ternary codes with 42 % zeros, norms of 1, and scales that keep the residual stream of order one.
#[derive(Clone)]
pub(crate) struct RandomWeights {
    seed: u64,
    tensors: Vec<Tensor>,
}

/// Larger tensors than this, in bytes, are generated in large pages.
const LARGE: usize = 32 << 20;
/// The name that errors use in place of the name of a file.
const FILE: &str = "random weights";

/// Returns `config` with the weight format of random weights, which is packed.
pub(crate) fn packed(config: &Config) -> Config {
    Config { weights: WeightFormat::Packed(ScaleRule::Multiply), ..config.clone() }
}

impl RandomWeights {
    /// Returns the random weights for a configuration and a seed. The same seed always gives the same
    /// weights, in memory and in a file.
    pub(crate) fn new(config: &Config, seed: u64) -> RandomWeights {
        RandomWeights { seed, tensors: tensor::all(config) }
    }

    /// Returns the name that errors use in place of the name of a file.
    pub(crate) fn file(&self) -> &'static str {
        FILE
    }

    /// Returns the size of all tensors in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes() as u64).sum()
    }

    /// Returns whether there is a tensor with this Hugging Face name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns the Hugging Face names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    /// Generates the tensor with this Hugging Face name.
    pub(crate) fn get(&self, name: &str, hint: &'static str) -> Result<StoredTensor> {
        let tensor = self.find(name).ok_or_else(|| Error::MissingTensor {
            file: FILE.into(),
            tensor: name.into(),
            hint,
        })?;
        let fill = |out: &mut [u8]| {
            let parts = out.par_chunks_mut(PART).enumerate();
            parts.for_each(|(part, out)| tensor.fill(self.seed, part, out));
        };
        // A large tensor is an embedding, which stays in use; small tensors are packed again by the model and
        // then dropped.
        let pages = (tensor.bytes() > LARGE).then(|| Pages::zeroed(tensor.bytes()).ok()).flatten();
        let bytes = match pages {
            Some(mut pages) => {
                fill(&mut pages);
                Bytes::pages(pages)
            }
            None => {
                let mut bytes = vec![0; tensor.bytes()];
                fill(&mut bytes);
                Bytes::owned(bytes)
            }
        };
        Ok(StoredTensor {
            file: FILE.into(),
            name: name.into(),
            shape: tensor.shape.clone(),
            coding: tensor.coding(),
            bytes,
        })
    }

    fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checkpoint;

    fn config() -> Config {
        let json = r#"{"architectures":["BitNetForCausalLM"],"vocab_size":61,"hidden_size":36,"intermediate_size":50,
            "num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":2,"tie_word_embeddings":false}"#;
        Config::from_json(json, "config.json").unwrap()
    }

    fn histogram(checkpoint: &Checkpoint) -> [u64; 4] {
        let mut counts = [0; 4];
        for shape in checkpoint.config().all_linears() {
            let found = checkpoint.linear(&shape).unwrap().histogram();
            counts.iter_mut().zip(found).for_each(|(sum, count)| *sum += count);
        }
        counts
    }

    #[test]
    fn a_written_checkpoint_opens_and_depends_only_on_the_seed() {
        let make = |seed| {
            let folder = tempfile::tempdir().unwrap();
            write_random(&config(), seed, folder.path(), &bitkv_progress::Silent).unwrap();
            assert!(
                write_random(&config(), seed, folder.path(), &bitkv_progress::Silent).is_err(),
                "nothing is replaced"
            );
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            assert_eq!(checkpoint.embedding().unwrap().rows(), 61);
            assert!(checkpoint.lm_head().unwrap().is_some());
            (std::fs::read(folder.path().join("model.safetensors")).unwrap(), histogram(&checkpoint))
        };
        let (bytes, counts) = make(1);
        assert_eq!((make(1).0 == bytes, make(2).0 == bytes), (true, false));
        let all: u64 = counts.iter().sum();
        let zeros = counts[1] as f64 / all as f64;
        assert!(counts[3] == 0 && (zeros - 0.42).abs() < 0.02, "{counts:?}");
    }

    #[test]
    fn weights_in_memory_equal_those_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        // The sizes are so large that a tensor consists of several parts.
        let config = Config { vocab_size: 2011, hidden_size: 132, intermediate_size: 2002, ..config() };
        write_random(&config, 3, folder.path(), &bitkv_progress::Silent).unwrap();
        let (file, memory) = (Checkpoint::open(folder.path()).unwrap(), Checkpoint::random(&config, 3));
        memory.check_unused_tensors().unwrap();
        assert_eq!(memory.config().weights, file.config().weights);
        assert_eq!(memory.tensor_bytes(), file.tensor_bytes());
        let tensors = memory.tensors().unwrap();
        assert_eq!(tensors.len(), file.tensors().unwrap().len());
        for made in tensors {
            assert!(memory.has(&made.name) && file.has(&made.name));
            let tensors = file.tensors().unwrap();
            let read = tensors.iter().find(|read| read.name == made.name).unwrap();
            assert_eq!((&made.shape, &made.bytes[..]), (&read.shape, &read.bytes[..]), "{}", made.name);
        }
        assert_eq!(histogram(&memory), histogram(&file));
        assert!(!memory.has("model.layers.2.mlp.up_proj.weight"));
    }

    #[test]
    fn rows_that_kernels_cannot_sum_are_refused() {
        let widest = Config { intermediate_size: 1 << 18, hidden_size: 12, ..config() };
        let wider = Config { intermediate_size: (1 << 18) + 1, ..widest.clone() };
        let down = |config: &Config| Checkpoint::random(config, 1).linear(&config.linears(0)[6]).map(drop);
        down(&widest).unwrap();
        let message = down(&wider).unwrap_err().to_string();
        assert!(message.contains("`model.layers.0.mlp.down_proj.weight` have 262145 weights"), "{message}");
        let folder = tempfile::tempdir().unwrap();
        let written = write_random(&wider, 1, folder.path(), &bitkv_progress::Silent);
        assert!(written.unwrap_err().to_string().contains("only up to 262144"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn padding_rows_are_zeros() {
        // 50 rows are packed into 13 rows of four codes, so the last plane has room for two more rows.
        let checkpoint = Checkpoint::random(&config(), 0);
        let up = checkpoint.config().linears(0)[5].clone();
        let tensors = checkpoint.tensors().unwrap();
        let stored = tensors.iter().find(|t| t.name == format!("{}.weight", up.name)).unwrap();
        assert_eq!((up.rows, &stored.shape[..]), (50, &[13, 36][..]));
        assert!(stored.bytes[11 * 36..].iter().all(|byte| byte >> 6 == 1));
        assert!(stored.bytes[..11 * 36].iter().any(|byte| byte >> 6 != 1));
    }
}
