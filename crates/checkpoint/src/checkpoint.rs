//! A checkpoint: configuration and tensors, from a folder, a GGUF file, memory, or chance.

use std::{collections::HashSet, path::Path};

use crate::{
    Coding, Config, Dense, Error, Linear, LinearShape, NormShape, Result, ScaleRule, Stored, WeightFormat,
    config_read::Clues,
    dense::Pages,
    generation_config,
    gguf::{Gguf, Options},
    random::{self, Weights},
    shapes::{EMBEDDING, HEAD},
    shards::Shards,
};

/// Where the tensors are.
enum Store {
    Shards(Shards),
    Gguf(Gguf),
    Random(Weights),
}

/// Configuration and tensors of a model. Nothing is converted until it is asked for.
pub struct Checkpoint {
    config: Config,
    store: Store,
}

impl Checkpoint {
    /// Opens a Hugging Face folder or a `.gguf` file; weights are memory-mapped.
    ///
    /// # Errors
    /// When a file is missing, truncated or refused.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Checkpoint::open_with(path, &Options::default())
    }

    /// [`Checkpoint::open`] with a say in what GGUF files do not tell.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            let gguf = Gguf::open(path, options)?;
            return Ok(Checkpoint { config: gguf.config()?, store: Store::Gguf(gguf) });
        }
        // First, because a folder without it is not a model's folder.
        Config::exists(path)?;
        let shards = Shards::open(path)?;
        let mut config = Config::from_folder_with(path, clues(&shards))?;
        generation_config::add_stop_tokens(path, &mut config)?;
        Ok(Checkpoint { config, store: Store::Shards(shards) })
    }

    /// A folder's two files from memory.
    ///
    /// # Errors
    /// When either is refused.
    pub fn from_bytes(config_json: &str, safetensors: Vec<u8>) -> Result<Self> {
        let shards = Shards::from_bytes(safetensors)?;
        let config = Config::from_json_with(config_json, "config.json", clues(&shards))?;
        Ok(Checkpoint { config, store: Store::Shards(shards) })
    }

    /// A GGUF file from memory.
    ///
    /// # Errors
    /// When it is refused.
    pub fn from_gguf_bytes(bytes: Vec<u8>, options: &Options) -> Result<Self> {
        let gguf = Gguf::from_bytes(bytes, options)?;
        Ok(Checkpoint { config: gguf.config()?, store: Store::Gguf(gguf) })
    }

    /// Random packed weights of a configuration's shape, as [`write_random`](crate::write_random) writes them. None is in
    /// memory until it is asked for, and each is made anew every time.
    pub fn random(config: &Config, seed: u64) -> Self {
        let config = random::packed(config);
        let store = Store::Random(Weights::new(&config, seed));
        Checkpoint { config, store }
    }

    /// The same checkpoint, to run as the plain Llama it is not; see [`Config::as_plain_llama`].
    #[must_use]
    pub fn as_plain_llama(self) -> Self {
        Checkpoint { config: self.config.as_plain_llama(), ..self }
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The GGUF file, if it is one.
    pub fn gguf(&self) -> Option<&Gguf> {
        match &self.store {
            Store::Gguf(gguf) => Some(gguf),
            Store::Shards(_) | Store::Random(_) => None,
        }
    }

    /// The file, or the first of several.
    pub fn file(&self) -> String {
        match &self.store {
            Store::Shards(shards) => shards.file(),
            Store::Gguf(gguf) => gguf.file().into(),
            Store::Random(weights) => weights.file().into(),
        }
    }

    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        match &self.store {
            Store::Shards(shards) => shards.bytes(),
            Store::Gguf(gguf) => gguf.bytes(),
            Store::Random(weights) => weights.bytes(),
        }
    }

    /// All tensors under the names they have in the files, in file order.
    ///
    /// # Errors
    /// When one cannot be located.
    pub fn tensors(&self) -> Result<Vec<Stored>> {
        match &self.store {
            Store::Shards(shards) => shards.names().iter().map(|name| shards.get(name, "")).collect(),
            Store::Gguf(gguf) => gguf.tensors(),
            Store::Random(weights) => weights.names().map(|name| weights.get(name, "")).collect(),
        }
    }

    /// Whether there is a tensor of this Hugging Face name.
    pub fn has(&self, name: &str) -> bool {
        match &self.store {
            Store::Shards(shards) => shards.has(name),
            Store::Gguf(gguf) => gguf.has(name),
            Store::Random(weights) => weights.has(name),
        }
    }

    /// Refuses biases and norms inside the layers that this architecture does not read: leaving them out would run
    /// another model.
    ///
    /// # Errors
    /// When there is one.
    pub fn refuse_unread(&self) -> Result<()> {
        let Store::Shards(shards) = &self.store else { return Ok(()) };
        // A skeleton leaves norms out on purpose.
        let config = Config { plain_llama: false, ..self.config.clone() };
        let read: HashSet<String> = config.all_norms().map(|norm| norm.name).collect();
        let matters = |name: &String| {
            let changes = name.ends_with(".bias") || name.contains("norm") || name.contains("_ln");
            changes && !read.contains(name) && layer_of(name).is_some_and(|i| i < config.num_hidden_layers)
        };
        match shards.names().into_iter().find(matters) {
            None => Ok(()),
            Some(tensor) => Err(Error::UnreadTensor { file: shards.file(), tensor }),
        }
    }

    fn get(&self, name: &str, hint: &'static str) -> Result<Stored> {
        match &self.store {
            Store::Shards(shards) => shards.get(name, hint),
            Store::Gguf(gguf) => gguf.get(name, hint),
            Store::Random(weights) => weights.get(name, hint),
        }
    }

    /// A norm's weights.
    ///
    /// # Errors
    /// When they are missing, of another shape or type, or not finite.
    pub fn norm(&self, shape: &NormShape) -> Result<Vec<f32>> {
        self.stored_norm(shape)?.f32s(&[shape.width])
    }

    /// A norm's weights as they are stored.
    ///
    /// # Errors
    /// When they are missing.
    pub fn stored_norm(&self, shape: &NormShape) -> Result<Stored> {
        self.get(&shape.name, "")
    }

    /// The embedding.
    ///
    /// # Errors
    /// When it is missing, of another shape or type, holds values that are not finite, or has holes.
    pub fn embedding(&self) -> Result<Dense> {
        let dense = self.dense(EMBEDDING)?;
        dense.check(Pages::Keep)?;
        Ok(dense)
    }

    /// The embedding as it is, whatever it holds.
    ///
    /// # Errors
    /// When it is missing, or of another shape or type.
    pub fn unchecked_embedding(&self) -> Result<Dense> {
        self.dense(EMBEDDING)
    }

    /// The output head; `None` if it is the embedding.
    ///
    /// # Errors
    /// As [`Checkpoint::embedding`].
    pub fn lm_head(&self) -> Result<Option<Dense>> {
        if self.is_tied() {
            return Ok(None);
        }
        let head = self.dense(HEAD)?;
        head.check(Pages::Keep)?;
        Ok(Some(head))
    }

    /// Embedding and output head, checked without staying in memory: for reading them once.
    pub(crate) fn streamed(&self) -> Result<(Dense, Option<Dense>)> {
        let embedding = self.dense(EMBEDDING)?;
        embedding.check(Pages::Release)?;
        let head = if self.is_tied() { None } else { Some(self.dense(HEAD)?) };
        head.as_ref().map_or(Ok(()), |head| head.check(Pages::Release))?;
        Ok((embedding, head))
    }

    /// Whether the output head is the embedding. The 1bitLLM files are tied in fact, whatever they say.
    pub fn is_tied(&self) -> bool {
        let falls_back = self.config.architecture == crate::Architecture::OneBitLlm && !self.has(HEAD);
        self.config.tie_word_embeddings || falls_back
    }

    fn dense(&self, name: &str) -> Result<Dense> {
        Dense::new(self.get(name, "")?, self.config.vocab_size, self.config.hidden_size)
    }

    /// A linear layer's weights; codes are not looked at yet.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape or type, or its scale is none.
    pub fn linear(&self, shape: &LinearShape) -> Result<Linear> {
        let stored = self.get(&format!("{}.weight", shape.name), "")?;
        match &self.store {
            Store::Gguf(gguf) => gguf.linear(shape, stored),
            Store::Shards(_) | Store::Random(_) => match self.config.weights {
                WeightFormat::Packed(rule) => self.packed(shape, stored, rule),
                WeightFormat::Masters if stored.coding == Coding::Folded => Err(stored.type_error(
                    "F32, F16 or BF16 masters, because `quantization_config` does not describe packed weights",
                )),
                WeightFormat::Masters if !stored.coding.is_float() => {
                    Err(stored.type_error("F32, F16 or BF16 masters"))
                }
                WeightFormat::Masters => Linear::from_masters(shape, stored),
            },
        }
    }

    fn packed(&self, shape: &LinearShape, stored: Stored, rule: ScaleRule) -> Result<Linear> {
        if stored.coding != Coding::Folded {
            return Err(stored.type_error(
                "U8, because `quantization_config`, or a scale beside a weight, says that weights are packed",
            ));
        }
        stored.check_shape(&[crate::codec::folded::packed_rows(shape.rows), shape.cols])?;
        let name = format!("{}.weight_scale", shape.name);
        let scale = self.get(&name, ", the scale of a packed weight")?;
        let expected: &[usize] = if scale.shape.is_empty() { &[] } else { &[1] };
        let value = scale.f32s(expected)?[0];
        let multiplier = if rule == ScaleRule::Multiply { value } else { 1.0 / value };
        // The reciprocal of a subnormal scale is infinite.
        if value <= 0.0 || !multiplier.is_finite() {
            return Err(Error::BadScale { file: scale.file, tensor: name, value, multiplier });
        }
        Ok(Linear { shape: shape.clone(), multiplier, stored, masters: None, interleaved_heads: None })
    }
}

/// The layer that a tensor belongs to. Those past the last are of a model that is cut on purpose.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}

fn clues(shards: &Shards) -> Clues {
    let names = shards.names();
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    Clues { packed: ends(".weight_scale"), inner_norms: ends(".inner_attn_ln.weight") }
}
