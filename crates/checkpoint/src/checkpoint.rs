//! A checkpoint: the configuration and the tensors of a model. It is opened from a Hugging Face folder or a
//! GGUF file, read from bytes in memory, or filled with random weights.

use std::path::Path;

use crate::{
    Activation, Coding, Config, Dense, Error, IgnoredSetting, Linear, LinearShape, LinearWeights, NormShape,
    Result, RopeScaling, ScaleRule, StoredTensor, WeightFormat,
    config_read::Clues,
    dense::PagesAfterCheck,
    generation_config,
    gguf::{self, Gguf, ReadOptions},
    linear,
    random::{self, RandomWeights},
    remarks::Remarks,
    shapes::{EMBEDDING, LM_HEAD},
    shards::Shards,
};

/// The place from which tensors are read. Cloning shares the bytes.
#[derive(Clone)]
enum Store {
    Shards(Shards),
    Gguf(Gguf),
    Random(RandomWeights),
}

/// The configuration and the tensors of a model. A tensor is decoded only when it is read.
#[derive(Clone)]
pub struct Checkpoint {
    config: Config,
    store: Store,
    remarks: Remarks,
    /// The file that holds the configuration.
    settings_file: String,
    /// Whether the scales of ternary codes are inverted; see [`Checkpoint::with_reciprocal_scales`].
    reciprocal_scales: bool,
}

impl Checkpoint {
    /// Opens a Hugging Face folder or a `.gguf` file. The weights are memory-mapped.
    ///
    /// # Errors
    /// Returns an error if a file is missing, truncated or not valid, or the model is not supported.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Checkpoint::open_with(path, &ReadOptions::default())
    }

    /// Opens a checkpoint as [`Checkpoint::open`] does, with settings for what a GGUF file does not record.
    ///
    /// # Errors
    /// Fails as [`Checkpoint::open`] does.
    pub fn open_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        if path.exists() && !path.is_dir() {
            let gguf = Gguf::open(path, options)?;
            return Checkpoint::from_gguf(gguf);
        }
        // This check comes first because a folder without a configuration is not a model's folder.
        Config::exists(path)?;
        let shards = Shards::open(path)?;
        let (mut config, remarks) = Config::from_folder_with(path, clues(&shards, options.as_bitnet))?;
        generation_config::add_stop_tokens(path, &mut config)?;
        let settings_file = path.join("config.json").display().to_string();
        let mut checkpoint = Checkpoint::from_shards(config, shards, remarks, settings_file);
        checkpoint.note_masters(options.as_bitnet);
        Ok(checkpoint)
    }

    /// Reads a `config.json` and a safetensors file from memory.
    ///
    /// # Errors
    /// Returns an error if one of the two is not valid, or the model is not supported.
    pub fn from_bytes(config_json: &str, safetensors: Vec<u8>) -> Result<Self> {
        let shards = Shards::from_bytes(safetensors)?;
        let (config, remarks) = Config::from_json_with(config_json, "config.json", clues(&shards, false))?;
        Ok(Checkpoint::from_shards(config, shards, remarks, "config.json".into()))
    }

    fn from_shards(config: Config, shards: Shards, mut remarks: Remarks, settings_file: String) -> Self {
        remarks.notes.extend(shards.note());
        if config.weights == WeightFormat::TernaryFloats {
            remarks.note(format!(
                "{settings_file} has no quantization_config, but the weights are ternary: they are used as they are, as \
                 those of a BitNet"
            ));
        }
        let mut checkpoint = Checkpoint {
            config,
            store: Store::Shards(shards),
            remarks,
            settings_file,
            reciprocal_scales: false,
        };
        checkpoint.untie_if_different();
        checkpoint
    }

    /// Notes that float weights are taken for masters although the files do not say so.
    fn note_masters(&mut self, as_bitnet: bool) {
        let (config, file) = (&self.config, &self.settings_file);
        if as_bitnet && !config.architecture.is_bitnet() && config.weights != WeightFormat::Floats {
            let note = format!(
                "{file} does not say that the model is a BitNet: its floats are made ternary (--as bitnet)"
            );
            self.remarks.note(note);
        }
    }

    /// Unties the LM head from the embedding if the file has both and they differ.
    fn untie_if_different(&mut self) {
        if !self.config.tie_word_embeddings {
            return;
        }
        let (Ok(embedding), Ok(head)) = (self.get(EMBEDDING, ""), self.get(LM_HEAD, "")) else { return };
        let same = have_same_values(&embedding, &head);
        head.bytes.release();
        if same {
            return;
        }
        self.config.tie_word_embeddings = false;
        let file = &self.settings_file;
        self.remarks.note(format!(
            "{file} says that the LM head is tied to the embedding (`tie_word_embeddings`), but `{LM_HEAD}` differs from \
             `{EMBEDDING}`: `{LM_HEAD}` is used as the LM head"
        ));
    }

    /// Reads a GGUF file from memory.
    ///
    /// # Errors
    /// Returns an error if the file is not valid, or the model is not supported.
    pub fn from_gguf_bytes(bytes: Vec<u8>, options: &ReadOptions) -> Result<Self> {
        Checkpoint::from_gguf(Gguf::from_bytes(bytes, options)?)
    }

    fn from_gguf(gguf: Gguf) -> Result<Self> {
        let (config, remarks) = gguf.config()?;
        let (settings_file, as_bitnet) = (gguf.file().to_owned(), gguf.is_read_as_bitnet());
        let store = Store::Gguf(gguf);
        let mut checkpoint = Checkpoint { config, store, remarks, settings_file, reciprocal_scales: false };
        checkpoint.note_masters(as_bitnet);
        Ok(checkpoint)
    }

    /// Returns a checkpoint of random packed weights, equal to what [`write_random`](crate::write_random)
    /// writes for the same configuration and seed. No tensor is kept in memory: each is generated whenever it
    /// is read.
    pub fn random(config: &Config, seed: u64) -> Self {
        let config = random::packed(config);
        let store = Store::Random(RandomWeights::new(&config, seed));
        Checkpoint {
            config,
            store,
            remarks: Remarks::default(),
            settings_file: "the configuration".into(),
            reciprocal_scales: false,
        }
    }

    /// Returns the same checkpoint, to be run as a plain Llama; see [`Config::as_plain_llama`].
    #[must_use]
    pub fn as_plain_llama(self) -> Self {
        Checkpoint { config: self.config.as_plain_llama(), ..self }
    }

    /// Returns the same checkpoint with another activation of the MLP than its files name.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        let named = self.config.hidden_act;
        if named != activation {
            let (file, given) = (&self.settings_file, activation.name());
            self.remarks.note(format!(
                "the activation of {file} is {}, but {given} is used, because it was given",
                named.name()
            ));
            self.config.hidden_act = activation;
        }
        self
    }

    /// Returns the same checkpoint with the reciprocal of every scale of ternary codes, for finding out in
    /// which direction the scales apply. It shares the weights.
    #[must_use]
    pub fn with_reciprocal_scales(&self) -> Self {
        Checkpoint { reciprocal_scales: !self.reciprocal_scales, ..self.clone() }
    }

    /// Returns the configuration of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns what a reader should know although the checkpoint can be used, in whole sentences without a
    /// full stop.
    pub fn notes(&self) -> &[String] {
        &self.remarks.notes
    }

    /// Returns the settings that have no effect, because no rule uses them.
    pub fn ignored_settings(&self) -> &[IgnoredSetting] {
        &self.remarks.ignored
    }

    /// Returns the GGUF file, or `None` if the checkpoint is not one.
    pub fn gguf(&self) -> Option<&Gguf> {
        match &self.store {
            Store::Gguf(gguf) => Some(gguf),
            Store::Shards(_) | Store::Random(_) => None,
        }
    }

    /// Returns the name of the file that holds the configuration.
    pub(crate) fn settings_file(&self) -> &str {
        &self.settings_file
    }

    /// Returns the name of the file, or of the first one if there are several.
    pub fn file(&self) -> String {
        match &self.store {
            Store::Shards(shards) => shards.file(),
            Store::Gguf(gguf) => gguf.file().into(),
            Store::Random(weights) => weights.file().into(),
        }
    }

    /// Returns the size of all tensors in bytes.
    pub fn tensor_bytes(&self) -> u64 {
        match &self.store {
            Store::Shards(shards) => shards.bytes(),
            Store::Gguf(gguf) => gguf.bytes(),
            Store::Random(weights) => weights.bytes(),
        }
    }

    /// Returns all tensors in file order, with the names that they have in the files.
    ///
    /// # Errors
    /// Returns an error if a tensor cannot be located.
    pub fn tensors(&self) -> Result<Vec<StoredTensor>> {
        match &self.store {
            Store::Shards(shards) => shards.names().iter().map(|name| shards.get(name, "")).collect(),
            Store::Gguf(gguf) => gguf.tensors(),
            Store::Random(weights) => weights.names().map(|name| weights.get(name, "")).collect(),
        }
    }

    /// Returns whether there is a tensor with this Hugging Face name.
    pub fn has(&self, name: &str) -> bool {
        match &self.store {
            Store::Shards(shards) => shards.has(name),
            Store::Gguf(gguf) => gguf.has(name),
            Store::Random(weights) => weights.has(name),
        }
    }

    /// Returns the names of all tensors, in file order, as the files have them.
    pub(crate) fn tensor_names(&self) -> Vec<String> {
        match &self.store {
            Store::Shards(shards) => shards.names(),
            Store::Gguf(gguf) => gguf.tensor_names(),
            Store::Random(weights) => weights.names().map(str::to_owned).collect(),
        }
    }

    /// Returns the tensor with this Hugging Face name. `hint` follows the name in the error message.
    fn get(&self, name: &str, hint: &'static str) -> Result<StoredTensor> {
        match &self.store {
            Store::Shards(shards) => shards.get(name, hint),
            Store::Gguf(gguf) => gguf.get(name, hint),
            Store::Random(weights) => weights.get(name, hint),
        }
    }

    /// Returns the weights of a norm, `[width]`.
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, has another shape or type, or holds values that are not
    /// finite.
    pub fn norm(&self, shape: &NormShape) -> Result<Vec<f32>> {
        self.stored_norm(shape)?.f32s(&[shape.width])
    }

    /// Returns the weights of a norm as they are stored.
    ///
    /// # Errors
    /// Returns an error if the tensor is missing.
    pub fn stored_norm(&self, shape: &NormShape) -> Result<StoredTensor> {
        self.get(&shape.name, "")
    }

    /// Returns the embedding, `[vocabulary, hidden]`, after checking its values.
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, has another shape or type, holds values that are not
    /// finite, or has more rows of zeros than a trained model with a padded vocabulary.
    pub fn embedding(&self) -> Result<Dense> {
        let dense = self.dense(EMBEDDING)?;
        dense.check(PagesAfterCheck::Keep)?;
        Ok(dense)
    }

    /// Returns the embedding without checking its values.
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, or has another shape or type.
    pub fn unchecked_embedding(&self) -> Result<Dense> {
        self.dense(EMBEDDING)
    }

    /// Returns the LM head, `[vocabulary, hidden]`; `None` if it is tied to the embedding.
    ///
    /// # Errors
    /// Fails as [`Checkpoint::embedding`] does.
    pub fn lm_head(&self) -> Result<Option<Dense>> {
        if self.is_tied() {
            return Ok(None);
        }
        let head = self.dense(LM_HEAD)?;
        head.check(PagesAfterCheck::Keep)?;
        Ok(Some(head))
    }

    /// Returns the embedding and the LM head (`None` if tied), for writing them to another file. Both are
    /// checked as in [`Checkpoint::embedding`], but their mapped pages are released after the check.
    pub(crate) fn embedding_and_lm_head(&self) -> Result<(Dense, Option<Dense>)> {
        let embedding = self.dense(EMBEDDING)?;
        embedding.check(PagesAfterCheck::Release)?;
        let head = if self.is_tied() { None } else { Some(self.dense(LM_HEAD)?) };
        head.as_ref().map_or(Ok(()), |head| head.check(PagesAfterCheck::Release))?;
        Ok((embedding, head))
    }

    /// Returns whether the LM head is tied to the embedding. A 1bitLLM model without an LM head is tied, even
    /// if its configuration says otherwise.
    pub fn is_tied(&self) -> bool {
        let falls_back = self.config.architecture == crate::Architecture::OneBitLlm && !self.has(LM_HEAD);
        self.config.tie_word_embeddings || falls_back
    }

    /// Returns a tensor as a matrix `[vocabulary, hidden]`.
    fn dense(&self, name: &str) -> Result<Dense> {
        Dense::new(self.get(name, "")?, self.config.vocab_size, self.config.hidden_size)
    }

    /// Returns the weights of a linear layer. Its codes are not checked.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or has another shape or type, if its rows are too long, or
    /// when its scale is not positive and finite.
    pub fn linear(&self, shape: &LinearShape) -> Result<Linear> {
        shape.check_width(&self.file())?;
        let linear = self.linear_as_stored(shape)?;
        if !self.reciprocal_scales || !linear.stored.coding.is_ternary() {
            return Ok(linear);
        }
        let (value, multiplier) = (linear.multiplier, 1.0 / linear.multiplier);
        if !multiplier.is_finite() {
            let (file, tensor) = (linear.stored.file.clone(), linear.stored.name.clone());
            return Err(Error::BadScale { file, tensor, value, multiplier });
        }
        Ok(Linear { multiplier, ..linear })
    }

    /// Returns the weights of a linear layer with the scale that the file and the configuration describe.
    fn linear_as_stored(&self, shape: &LinearShape) -> Result<Linear> {
        let stored = self.get(&format!("{}.weight", shape.name), "")?;
        match &self.store {
            Store::Gguf(gguf) => gguf.linear(shape, stored, self.config.weights),
            Store::Shards(_) | Store::Random(_) => self.linear_of_folder(shape, stored),
        }
    }

    /// Returns a linear layer of a Hugging Face folder.
    fn linear_of_folder(&self, shape: &LinearShape, stored: StoredTensor) -> Result<Linear> {
        let is_float = stored.coding.is_float();
        match self.config.weights {
            // A layer that is listed as one in full precision has no scale if its weights are floats.
            WeightFormat::Packed(_) | WeightFormat::Masters
                if is_float && self.config.is_full_precision(&shape.name) =>
            {
                Linear::from_floats(shape, stored)
            }
            WeightFormat::Packed(rule) => self.packed(shape, stored, rule),
            _ if stored.coding == Coding::PackedU8 => Err(stored.type_error(
                "F32, F16 or BF16 weights, because `quantization_config` does not describe packed weights",
            )),
            _ if !is_float => Err(stored.type_error("F32, F16 or BF16 weights")),
            WeightFormat::Masters => Linear::from_masters(shape, stored),
            WeightFormat::TernaryFloats => gguf::from_floats(shape, stored),
            WeightFormat::Floats => Linear::from_floats(shape, stored),
        }
    }

    /// Checks that the settings of the model can be written in a ternary format. [`Linear::check_ternary`]
    /// checks its layers.
    ///
    /// # Errors
    /// Returns an error if the model is in full precision or has biases, or if RoPE is scaled.
    pub(crate) fn check_convertible(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::NotABitNet { file: self.file(), reason });
        if self.config.weights == WeightFormat::Floats {
            return refuse("its weights are in full precision, and conversions write ternary formats".into());
        }
        if self.config.biases.any() {
            return refuse("its linear layers have biases, which conversions cannot write".into());
        }
        if self.config.rope_scaling != RopeScaling::Unscaled {
            return refuse("its RoPE is scaled, which conversions cannot write".into());
        }
        Ok(())
    }

    /// Returns the bias of a linear layer, `[rows]`; `None` if it has none.
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, has another length or type, or holds values that are not
    /// finite.
    pub fn bias(&self, shape: &LinearShape) -> Result<Option<Vec<f32>>> {
        if !shape.bias {
            return Ok(None);
        }
        let stored = self.get(&format!("{}.bias", shape.name), ", the bias of a linear layer")?;
        let values = stored.f32s(&[shape.rows])?;
        let heads = self.gguf().map_or(Ok(None), |gguf| gguf.interleaved_heads(shape))?;
        let scale = self.scale_of_bias(shape)?;
        let value = |row: usize| scale * values[linear::stored_row(row, shape.rows, heads)];
        Ok(Some((0..shape.rows).map(value).collect()))
    }

    /// Returns the factor of a stored bias. The class `autobitlinear` of transformers multiplies the sum of
    /// the product and the bias by `weight_scale` if its weights are packed.
    fn scale_of_bias(&self, shape: &LinearShape) -> Result<f32> {
        let scaled =
            self.config.weights == WeightFormat::Packed(ScaleRule::Multiply) && self.gguf().is_none();
        if !scaled {
            return Ok(1.0);
        }
        let linear = self.linear(shape)?;
        Ok(if linear.is_ternary() { linear.multiplier() } else { 1.0 })
    }

    /// Returns a linear layer that transformers packed, with the scale that is stored beside its weight.
    fn packed(&self, shape: &LinearShape, stored: StoredTensor, rule: ScaleRule) -> Result<Linear> {
        if stored.coding != Coding::PackedU8 {
            return Err(stored.type_error(
                "U8, because `quantization_config`, or a scale beside a weight, says that the weights are packed",
            ));
        }
        stored.check_shape(&[crate::codec::packed_u8::packed_rows(shape.rows), shape.cols])?;
        let name = format!("{}.weight_scale", shape.name);
        let scale = self.get(&name, ", the scale of a packed weight")?;
        // A scale is one number, in any number of dimensions.
        let expected = if scale.len() == 1 { scale.shape.clone() } else { vec![1] };
        let value = scale.f32s(&expected)?[0];
        let multiplier = if rule == ScaleRule::Multiply { value } else { 1.0 / value };
        // The reciprocal of a subnormal scale is infinite.
        if value <= 0.0 || !multiplier.is_finite() {
            return Err(Error::BadScale { file: scale.file, tensor: name, value, multiplier });
        }
        let (shape, weights) = (shape.clone(), LinearWeights::Codes);
        Ok(Linear { shape, multiplier, stored, weights, interleaved_heads: None })
    }
}

/// Returns what the tensors reveal about the model.
fn clues(shards: &Shards, as_bitnet: bool) -> Clues {
    let names = shards.names();
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    let (packed, inner_norms) = (ends(".weight_scale"), ends(".inner_attn_ln.weight"));
    Clues { packed, inner_norms, ternary: !packed && !inner_norms && is_ternary(shards, &names), as_bitnet }
}

/// Returns whether the linear layers of the first and the last layer hold floats that are ternary already.
fn is_ternary(shards: &Shards, names: &[String]) -> bool {
    let layer = |name: &String| name.strip_prefix("model.layers.")?.split('.').next()?.parse::<usize>().ok();
    let Some(last) = names.iter().filter_map(layer).max() else { return false };
    let is_examined = |name: &&String| {
        name.ends_with("_proj.weight") && layer(name).is_some_and(|layer| layer == 0 || layer == last)
    };
    let is_ternary = |name: &String| {
        shards.get(name, "").is_ok_and(|stored| {
            let ternary = gguf::ternary_value(&stored).is_some();
            stored.bytes.release();
            ternary
        })
    };
    names.iter().any(|name| is_examined(&name)) && names.iter().filter(is_examined).all(is_ternary)
}

/// Returns whether two float tensors have the same values.
fn have_same_values(a: &StoredTensor, b: &StoredTensor) -> bool {
    if a.shape != b.shape || !a.coding.is_float() || !b.coding.is_float() {
        return false;
    }
    if a.coding == b.coding {
        return a.bytes[..] == b.bytes[..];
    }
    let part = a.shape.last().copied().unwrap_or(1);
    let (mut x, mut y) = (vec![0.0; part], vec![0.0; part]);
    (0..a.len()).step_by(part).all(|first| {
        a.read_f32(first, &mut x);
        b.read_f32(first, &mut y);
        x == y
    })
}
