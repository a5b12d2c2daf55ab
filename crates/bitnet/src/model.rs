//! The decoder: loading, prefill, decoding and logits.
//!
//! References: *The Era of 1-bit LLMs* (arXiv 2402.17764), *BitNet b1.58 2B4T Technical Report* (arXiv
//! 2504.12285), and transformers `models/bitnet/modeling_bitnet.py`.

use bitkv_checkpoint::{Checkpoint, Config};
use bitkv_kernels::dense::{Arithmetic, Instructions, Int8};
use candle_core::{Device, Tensor};

use crate::{
    Cache, CachePrecision, CacheShape, Error, KvCache, ProbeOutput, Probes, Result, Sequence,
    attention::Attention,
    dense::Matrix,
    error::Place,
    finite::check_rows,
    forward::HiddenRows,
    linear::{Inputs, Linear},
    lm_head::LmHeads,
    mlp::Mlp,
    norm::RmsNorm,
    recorder::Recorder,
    rope::Rope,
};

/// The weights of one decoder layer.
pub(crate) struct Layer {
    pub(crate) input_norm: RmsNorm,
    pub(crate) attention: Attention,
    pub(crate) post_attention_norm: RmsNorm,
    pub(crate) mlp: Mlp,
}

impl Layer {
    /// Loads and checks the tensors of a layer.
    fn load(checkpoint: &Checkpoint, index: usize) -> Result<Layer> {
        let norms = checkpoint.config().norms(index);
        Ok(Layer {
            input_norm: RmsNorm::load(checkpoint, &norms.input)?,
            attention: Attention::load(checkpoint, index)?,
            post_attention_norm: RmsNorm::load(checkpoint, &norms.post_attention)?,
            mlp: Mlp::load(checkpoint, index)?,
        })
    }
}

/// A model whose weights are loaded and ready to run.
///
/// [`Model::forward`] runs tokens and returns their hidden states; [`Model::logits`] turns hidden states into
/// logits. [`Model::prefill`] and [`Model::decode`] do both, and return the logits of the last token only.
pub struct Model {
    pub(crate) config: Config,
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: RmsNorm,
    /// The LM head of the checkpoint; `None` if it is tied to the embedding.
    lm_head: Option<Matrix>,
    /// The LM head rounded to int8, if [`Model::with_lm_head`] asked for it.
    int8_lm_head: Option<Int8>,
    /// The arithmetic of full-precision weights.
    arithmetic: Arithmetic,
    pub(crate) rope: Rope,
}

/// Whether the weights of a model's linear layers are ternary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WeightKind {
    /// All are: the model is a BitNet.
    Ternary,
    /// None is: the model is a control in full precision.
    Control,
    /// Some are.
    Mixed,
}

/// The bytes that the weights of a model take in memory, by kind of weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WeightBytes {
    /// Linear layers with their scales and biases.
    pub linear: usize,
    /// The LM head that is read for every token: the one of the checkpoint, the embedding if the two are
    /// tied, or the LM head rounded to int8.
    pub lm_head: usize,
    /// The embedding if it is not tied to the LM head, plus the exact LM head if an int8 one is used.
    pub embedding: usize,
    /// Norm weights.
    pub norms: usize,
}

/// The result of a forward pass.
#[derive(Clone, Debug)]
pub struct Output {
    /// Hidden states after the final norm, `[tokens, hidden]`. [`Model::logits`] turns them into logits.
    pub hidden: Tensor,
    /// What the pass observed; `None` if it had no probes.
    pub probed: Option<ProbeOutput>,
}

impl Model {
    /// Loads and checks every tensor of a checkpoint.
    ///
    /// # Errors
    /// Fails if a tensor is missing, has the wrong shape or type, or holds values that are invalid in a
    /// BitNet.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self> {
        let config = checkpoint.config().clone();
        checkpoint.check_unused_tensors()?;
        // The whole LM head is read for every token.
        let (embedding, lm_head) = match (checkpoint.embedding()?, checkpoint.lm_head()?) {
            (embedding, None) => (embedding.in_large_pages(), None),
            (embedding, Some(lm_head)) => (embedding, Some(lm_head.in_large_pages())),
        };
        let layers = (0..config.num_hidden_layers).map(|i| Layer::load(checkpoint, i));
        let layers = layers.collect::<Result<_>>()?;
        Ok(Model {
            embedding: Matrix::new(embedding),
            layers,
            norm: RmsNorm::load(checkpoint, &config.final_norm())?,
            lm_head: lm_head.map(Matrix::new),
            int8_lm_head: None,
            arithmetic: Arithmetic::F32,
            rope: Rope::new(&config),
            config,
        })
    }

    /// Checks every tensor of a checkpoint as [`Model::load`] does, and keeps at most one layer in memory.
    ///
    /// # Errors
    /// Fails as [`Model::load`] does.
    pub fn check_weights(checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.check_unused_tensors()?;
        checkpoint.embedding()?;
        checkpoint.lm_head()?;
        (0..checkpoint.config().num_hidden_layers).try_for_each(|i| Layer::load(checkpoint, i).map(drop))?;
        RmsNorm::load(checkpoint, &checkpoint.config().final_norm()).map(drop)
    }

    /// The model's configuration: its shape and numerics.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the model with products of full-precision weights in this arithmetic: those of its linear
    /// layers that are not ternary, and, if it is not a BitNet, those of the LM head. [`Arithmetic::F32`] is
    /// the default.
    #[must_use]
    pub fn with_arithmetic(mut self, arithmetic: Arithmetic) -> Self {
        if self.weight_kind() == WeightKind::Ternary {
            return self;
        }
        for layer in &mut self.layers {
            layer.attention.linears_mut().into_iter().for_each(|linear| linear.set_arithmetic(arithmetic));
            layer.mlp.linears_mut().into_iter().for_each(|linear| linear.set_arithmetic(arithmetic));
        }
        self.embedding.set_arithmetic(arithmetic);
        self.lm_head.iter_mut().for_each(|head| head.set_arithmetic(arithmetic));
        self.arithmetic = arithmetic;
        self
    }

    /// The arithmetic of full-precision weights.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Whether the weights of the linear layers are ternary. A plain Llama counts as what its checkpoint
    /// holds.
    pub fn weight_kind(&self) -> WeightKind {
        if self.config.plain_llama {
            return WeightKind::Ternary;
        }
        match self.inputs() {
            Inputs { quantised: true, floats: false } => WeightKind::Ternary,
            Inputs { quantised: false, .. } => WeightKind::Control,
            Inputs { quantised: true, floats: true } => WeightKind::Mixed,
        }
    }

    /// The instructions that multiply dense weights, which are those of the LM head and of full-precision
    /// layers. If several are used, these are the widest.
    pub fn dense_instructions(&self) -> Instructions {
        let layers = self.linears().filter_map(Linear::instructions);
        let heads = [self.lm_head.as_ref().unwrap_or(&self.embedding).instructions()];
        layers.chain(heads).max().unwrap_or(Instructions::Vectors)
    }

    /// The linear layers.
    fn linears(&self) -> impl Iterator<Item = &Linear> + Clone {
        let attention = self.layers.iter().flat_map(|layer| layer.attention.linears());
        attention.chain(self.layers.iter().flat_map(|layer| layer.mlp.linears()))
    }

    /// The forms in which the linear layers take their input.
    pub(crate) fn inputs(&self) -> Inputs {
        let kinds = || self.linears().map(Linear::is_ternary);
        Inputs { quantised: kinds().any(|ternary| ternary), floats: kinds().any(|ternary| !ternary) }
    }

    /// The attention blocks in the order of the layers.
    pub(crate) fn attentions(&self) -> impl Iterator<Item = &Attention> {
        self.layers.iter().map(|layer| &layer.attention)
    }

    /// Returns an empty f16 cache of this model's shape.
    pub fn new_cache(&self) -> Cache {
        Cache::new(CacheShape::from_config(&self.config))
    }

    /// The bytes of all weights in memory, by kind of weight.
    pub fn weight_breakdown(&self) -> WeightBytes {
        let norms = self.config.all_norms().map(|norm| norm.width * size_of::<f32>()).sum();
        let exact = self.lm_heads().exact.bytes();
        let lm_head = self.int8_lm_head.as_ref().map_or(exact, Int8::bytes);
        let separate = self.lm_head.as_ref().map_or(0, |_| self.embedding.bytes());
        let embedding = separate + self.int8_lm_head.as_ref().map_or(0, |_| exact);
        WeightBytes { linear: self.weight_bytes() - norms - lm_head - embedding, lm_head, embedding, norms }
    }

    /// The bytes that all weights take in memory.
    pub fn weight_bytes(&self) -> usize {
        let layer = |l: &Layer| {
            l.input_norm.bytes() + l.attention.bytes() + l.post_attention_norm.bytes() + l.mlp.bytes()
        };
        let lm_head = self.lm_head.as_ref().map_or(0, Matrix::bytes)
            + self.int8_lm_head.as_ref().map_or(0, Int8::bytes);
        self.embedding.bytes() + lm_head + self.norm.bytes() + self.layers.iter().map(layer).sum::<usize>()
    }

    /// Returns an empty cache of this model's shape that stores keys and values in the given precision.
    pub fn new_cache_with_precision(&self, precision: CachePrecision) -> Cache {
        Cache::with_precision(CacheShape::from_config(&self.config), precision)
    }

    /// Estimates the peak bytes of activations when `tokens` tokens run at once: those of the layer that
    /// needs most, plus one row of logits.
    ///
    /// A pass runs all its tokens at once only if its [`Probes`] require it. Other passes run blocks of a few
    /// hundred tokens one after another.
    pub fn activation_bytes(&self, tokens: usize) -> usize {
        let c = &self.config;
        let attention = 4 * c.hidden_size + 3 * c.query_width() + 2 * c.kv_width();
        let mlp = 3 * c.hidden_size + 4 * c.intermediate_size;
        (tokens * attention.max(mlp) + 2 * c.vocab_size) * size_of::<f32>()
    }

    /// Runs `tokens` after the tokens that `cache` has seen, and appends their keys and values to it.
    ///
    /// # Errors
    /// Fails if there are no tokens, a token is outside the vocabulary, the model has too few positions, a
    /// window of `probes` is empty, or the cache has the shape of another model. Such an error leaves the
    /// cache unchanged. Also fails with [`Error::NotFinite`] or [`Error::CacheOverflow`] if a result is not
    /// finite or a key or value is too large for the cache; then the cache must not be used any more.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
        probes: Option<&Probes>,
    ) -> Result<Output> {
        self.run_one(tokens, cache, probes, HiddenRows::All)
    }

    /// Does the same as [`Model::forward`], but returns only the hidden states that `rows` selects.
    pub(crate) fn run_one(
        &self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
        probes: Option<&Probes>,
        rows: HiddenRows,
    ) -> Result<Output> {
        probes.map_or(Ok(()), Probes::check)?;
        let recorder = Recorder::new(probes, cache.tokens_seen(), tokens.len());
        self.run(&mut [Sequence { tokens, cache }], recorder, rows)
    }

    /// Runs several sequences at once, reading each weight once for all of them.
    ///
    /// Returns the hidden states of the sequences one after another, `[tokens of all sequences, hidden]`.
    /// They are bit-identical to running each sequence alone.
    ///
    /// # Errors
    /// Fails as [`Model::forward`] does.
    pub fn forward_batch(&self, sequences: &mut [Sequence<'_>]) -> Result<Tensor> {
        Ok(self.run(sequences, Recorder::new(None, 0, 0), HiddenRows::All)?.hidden)
    }

    /// The exact LM head, and the int8 LM head if the model has one.
    pub(crate) fn lm_heads(&self) -> LmHeads<'_> {
        LmHeads { exact: self.lm_head.as_ref().unwrap_or(&self.embedding), int8: self.int8_lm_head.as_ref() }
    }

    /// Sets or removes the int8 LM head.
    pub(crate) fn set_int8_lm_head(&mut self, lm_head: Option<Int8>) {
        self.int8_lm_head = lm_head;
    }

    /// Returns the logits `[tokens, vocab]` of hidden states `[tokens, hidden]`, f32.
    ///
    /// With an [int8 LM head](Model::with_lm_head) the logits are approximate; [`Model::lm_head_error`]
    /// measures by how much.
    ///
    /// # Errors
    /// Fails if `hidden` has another width, or with [`Error::NotFinite`] if a logit is not finite. The
    /// position in this error is the row of `hidden`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.logits_after(hidden, &[])
    }

    /// Does the same as [`Model::logits`]. Errors name the positions of the tokens, or the index of a row if
    /// `positions` lacks it.
    pub(crate) fn logits_after(&self, hidden: &Tensor, positions: &[usize]) -> Result<Tensor> {
        let (width, vocab_size) = (self.config.hidden_size, self.config.vocab_size);
        if hidden.rank() != 2 || hidden.dim(1)? != width {
            return Err(Error::HiddenShape { found: hidden.dims().to_vec(), hidden_size: width });
        }
        let x: Vec<f32> = hidden.flatten_all()?.to_vec1()?;
        let LmHeads { exact, int8 } = self.lm_heads();
        let logits = int8.map_or_else(|| exact.multiply(&x), |int8| int8.multiply(&x));
        let position = |row: usize| positions.get(row).copied().unwrap_or(row);
        check_rows(&logits, vocab_size, position, Place::Logits)?;
        Ok(Tensor::from_vec(logits, (hidden.dim(0)?, vocab_size), &Device::Cpu)?)
    }

    /// Runs a prompt. Returns the logits after its last token, `[vocab]`, and what `probes` observed.
    ///
    /// # Errors
    /// Fails as [`Model::forward`] does.
    pub fn prefill(
        &self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
        probes: Option<&Probes>,
    ) -> Result<(Vec<f32>, Option<ProbeOutput>)> {
        let output = self.run_one(tokens, cache, probes, HiddenRows::Last)?;
        let last = [cache.tokens_seen() - 1];
        Ok((self.logits_after(&output.hidden, &last)?.flatten_all()?.to_vec1()?, output.probed))
    }

    /// Runs one token and returns the logits after it, `[vocab]`.
    ///
    /// # Errors
    /// Fails as [`Model::forward`] does.
    pub fn decode(&self, token: u32, cache: &mut dyn KvCache) -> Result<Vec<f32>> {
        Ok(self.prefill(&[token], cache, None)?.0)
    }

    /// Returns what the probes `keys`, `values` and `positions` find in a cache, without running a token.
    pub fn observe(&self, cache: &dyn KvCache, probes: &Probes) -> ProbeOutput {
        let recorder = Recorder::new(Some(probes), cache.tokens_seen(), 0);
        recorder.finish(cache, &self.rope).unwrap_or_default()
    }

    /// Rotates the keys of every head of `cache` to rotary positions 0, 1, 2 ...; see [`KvCache::rerotate`].
    ///
    /// A cache that is evicted and rerotated from time to time never runs out of positions.
    ///
    /// # Errors
    /// Fails if the cache has the shape of another model.
    pub fn rerotate(&self, cache: &mut dyn KvCache) -> Result<()> {
        self.check_shape(cache)?;
        cache.rerotate(&self.rope)
    }

    /// Checks that the tokens can run on this cache.
    pub(crate) fn check(&self, tokens: &[u32], cache: &dyn KvCache) -> Result<()> {
        self.check_shape(cache)?;
        check_tokens(&self.config, tokens, cache.furthest_rotary_position())
    }

    /// Checks that the cache has the shape of this model.
    fn check_shape(&self, cache: &dyn KvCache) -> Result<()> {
        let (found, expected) = (cache.shape(), CacheShape::from_config(&self.config));
        if found != expected {
            return Err(Error::CacheShape { found: found.to_string(), expected: expected.to_string() });
        }
        Ok(())
    }
}

/// Checks that a model of this configuration can run `tokens` from position `first` on.
pub(crate) fn check_tokens(config: &Config, tokens: &[u32], first: usize) -> Result<()> {
    let (limit, vocab_size) = (config.max_position_embeddings, config.vocab_size);
    if tokens.is_empty() {
        return Err(Error::NoTokens);
    }
    if let Some(index) = tokens.iter().position(|id| *id as usize >= vocab_size) {
        return Err(Error::TokenOutOfVocabulary { id: tokens[index], index, vocab_size });
    }
    let end = first + tokens.len();
    if end > limit {
        return Err(Error::ContextTooLong { last: end - 1, limit });
    }
    Ok(())
}
