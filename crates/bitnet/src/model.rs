//! The BitNet b1.58 decoder.
//!
//! References: *The Era of 1-bit LLMs* (arXiv 2402.17764), *BitNet b1.58 2B4T Technical Report*
//! (arXiv 2504.12285), and transformers `models/bitnet/modeling_bitnet.py`.

use candle_core::{Device, Tensor};

use crate::{
    Cache, CacheShape, Checkpoint, Config, Error, KvCache, NormShape, Observe, Observed, Result,
    attention::Attention, dense::Matrix, layout, linear::Quantized, mlp::Mlp, norm::RmsNorm, rope::Rope,
};

struct Layer {
    input_norm: RmsNorm,
    attention: Attention,
    post_attention_norm: RmsNorm,
    mlp: Mlp,
}

/// A model ready to run.
pub struct Model {
    config: Config,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// `None` if the embedding is the output head.
    head: Option<Matrix>,
    rope: Rope,
}

/// What a forward pass returns.
#[derive(Clone, Debug)]
pub struct Output {
    /// Hidden states after the final norm, `[tokens, hidden]`; [`Model::logits`] makes logits of them.
    pub hidden: Tensor,
    /// Observations, if they were asked for.
    pub observed: Option<Observed>,
}

impl Model {
    /// Loads and checks every tensor.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape or type, or holds values no BitNet has.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self> {
        let config = checkpoint.config().clone();
        let norm = |shape: &NormShape| RmsNorm::load(checkpoint, shape);
        let layer = |i: usize| -> Result<Layer> {
            let [input, _, post_attention, _] = config.norms(i);
            Ok(Layer {
                input_norm: norm(&input)?,
                attention: Attention::load(checkpoint, i)?,
                post_attention_norm: norm(&post_attention)?,
                mlp: Mlp::load(checkpoint, i)?,
            })
        };
        let layers = (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?;
        // The 1bitLLM files are tied in fact, whatever they say.
        let falls_back =
            config.architecture == crate::Architecture::OneBitLlm && !checkpoint.has(layout::HEAD);
        let tied = config.tie_word_embeddings || falls_back;
        Ok(Model {
            embedding: Matrix::load(checkpoint, layout::EMBEDDING)?,
            layers,
            norm: norm(&NormShape { name: layout::FINAL_NORM.into(), width: config.hidden_size })?,
            head: if tied { None } else { Some(Matrix::load(checkpoint, layout::HEAD)?) },
            rope: Rope::new(&config),
            config,
        })
    }

    /// Shape and numerics.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// An empty cache of this model's shape.
    pub fn new_cache(&self) -> Cache {
        Cache::new(CacheShape::of(&self.config))
    }

    /// Bytes of the weights in memory.
    pub fn weight_bytes(&self) -> usize {
        let layer = |l: &Layer| {
            l.input_norm.bytes() + l.attention.bytes() + l.post_attention_norm.bytes() + l.mlp.bytes()
        };
        let head = self.head.as_ref().map_or(0, Matrix::bytes);
        self.embedding.bytes() + head + self.norm.bytes() + self.layers.iter().map(layer).sum::<usize>()
    }

    /// Runs `tokens` after those that `cache` has seen, and adds them to it.
    ///
    /// # Errors
    /// When there are no tokens, one is outside the vocabulary, the positions run out, or the cache is of
    /// another model's shape; then the cache is unchanged.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
        observe: Option<&Observe>,
    ) -> Result<Output> {
        self.check(tokens, cache, observe)?;
        let first = cache.tokens_seen();
        let rotation = self.rope.at(first..first + tokens.len());
        let wanted = observe.and_then(|o| o.wanted(tokens.len()));
        let mut observed = observe.map(|_| Observed::default());

        let mut h = self.embedding.rows(tokens)?;
        self.see_hidden(&h, observe, observed.as_mut())?;
        for (i, layer) in self.layers.iter().enumerate() {
            let x = self.quantize(&layer.input_norm.forward(&h));
            let (attended, statistics) = layer.attention.forward(&x, i, &rotation, cache, wanted.as_ref());
            add(&mut h, &attended);
            let x = self.quantize(&layer.post_attention_norm.forward(&h));
            add(&mut h, &layer.mlp.forward(&x));
            if let (Some(observe), Some(observed)) = (observe, observed.as_mut()) {
                observed.add_layer(observe, tokens.len(), &statistics);
            }
            self.see_hidden(&h, observe, observed.as_mut())?;
        }
        cache.advance(tokens.len());
        if let (Some(observed), true) = (observed.as_mut(), observe.is_some_and(|o| o.keys)) {
            let heads = self.config.num_key_value_heads;
            observed.keys =
                (0..self.layers.len() * heads).map(|i| cache.keys_f32(i / heads, i % heads)).collect();
        }
        Ok(Output { hidden: self.tensor(self.norm.forward(&h))?, observed })
    }

    /// Logits of hidden states: `[tokens, hidden]` to `[tokens, vocab]`, f32.
    ///
    /// # Errors
    /// When `hidden` has another width.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let width = self.config.hidden_size;
        if hidden.rank() != 2 || hidden.dim(1)? != width {
            return Err(Error::HiddenShape { found: hidden.dims().to_vec(), hidden_size: width });
        }
        let x: Vec<f32> = hidden.flatten_all()?.to_vec1()?;
        let logits = self.head.as_ref().unwrap_or(&self.embedding).multiply(&x)?;
        Ok(Tensor::from_vec(logits, (hidden.dim(0)?, self.config.vocab_size), &Device::Cpu)?)
    }

    /// Runs a prompt; returns the logits after its last token, `[vocab]`, and observations if asked for.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn prefill(
        &self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
        observe: Option<&Observe>,
    ) -> Result<(Vec<f32>, Option<Observed>)> {
        let output = self.forward(tokens, cache, observe)?;
        let last = output.hidden.narrow(0, tokens.len() - 1, 1)?.contiguous()?;
        Ok((self.logits(&last)?.flatten_all()?.to_vec1()?, output.observed))
    }

    /// Runs one token; returns the logits after it, `[vocab]`.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn decode(&self, token: u32, cache: &mut dyn KvCache) -> Result<Vec<f32>> {
        Ok(self.prefill(&[token], cache, None)?.0)
    }

    fn check(&self, tokens: &[u32], cache: &dyn KvCache, observe: Option<&Observe>) -> Result<()> {
        let (limit, vocab_size) = (self.config.max_position_embeddings, self.config.vocab_size);
        observe.map_or(Ok(()), Observe::check)?;
        if tokens.is_empty() {
            return Err(Error::NoTokens);
        }
        if let Some(index) = tokens.iter().position(|id| *id as usize >= vocab_size) {
            return Err(Error::TokenOutOfVocabulary { id: tokens[index], index, vocab_size });
        }
        let end = cache.tokens_seen() + tokens.len();
        if end > limit {
            return Err(Error::ContextTooLong { last: end - 1, limit });
        }
        let (found, expected) = (cache.shape(), CacheShape::of(&self.config));
        if found != expected {
            return Err(Error::CacheShape { found: found.to_string(), expected: expected.to_string() });
        }
        Ok(())
    }

    fn quantize(&self, x: &[f32]) -> Quantized {
        Quantized::new(x, self.config.hidden_size)
    }

    fn tensor(&self, x: Vec<f32>) -> Result<Tensor> {
        let width = self.config.hidden_size;
        let tokens = x.len() / width;
        Ok(Tensor::from_vec(x, (tokens, width), &Device::Cpu)?)
    }

    fn see_hidden(
        &self,
        h: &[f32],
        observe: Option<&Observe>,
        observed: Option<&mut Observed>,
    ) -> Result<()> {
        if let (Some(Observe { hidden: true, .. }), Some(observed)) = (observe, observed) {
            observed.hidden.push(self.tensor(h.to_vec())?);
        }
        Ok(())
    }
}

fn add(h: &mut [f32], x: &[f32]) {
    h.iter_mut().zip(x).for_each(|(h, x)| *h += x);
}
