//! Runs the model on the start of a calibration text of the suite.

use bitkv_bitnet::{CachePrecision, Model, Probes, StepNorms};
use bitkv_checkpoint::Checkpoint;
use bitkv_stats::nll_from_logits;
use bitkv_tokenizer::Tokenizer;

use bitkv_models::suite;

use crate::{
    Error, Examination, Finding, Result,
    finding::{fault, note},
};

const CHECK: &str = "run";

/// The number of tokens that the model reads: enough for a mean of losses, and fast.
const TOKENS: usize = 128;

/// The result of running the model on a text.
pub(crate) struct TextRun {
    /// The name of the text.
    pub(crate) text: String,
    /// The bits that each token after the first costs.
    pub(crate) bits: Vec<f64>,
    /// The norms of every step of the forward pass.
    pub(crate) steps: Vec<StepNorms>,
}

impl TextRun {
    /// Loads the model and runs it on the first calibration text.
    ///
    /// # Errors
    /// Fails if there is no usable tokenizer, the text has fewer than two tokens, or the model cannot be
    /// loaded.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        tokenizer: &bitkv_models::Result<Option<Tokenizer>>,
    ) -> Result<TextRun> {
        let tokenizer = match tokenizer {
            Ok(tokenizer) => tokenizer.as_ref().ok_or(Error::NoTokenizer)?,
            Err(refusal) => return Err(Error::RefusedTokenizer { reason: refusal.to_string() }),
        };
        let model = Model::load(checkpoint)?;
        let texts = suite::texts()?;
        let text = texts.calibration().next().ok_or(Error::NoText)?;
        let mut tokens = tokenizer.encode(&text.content)?;
        tokens.truncate(TOKENS.min(checkpoint.config().max_position_embeddings));
        if tokens.len() < 2 {
            return Err(Error::TooFewTokens { tokens: tokens.len() });
        }
        let (read, targets) = (&tokens[..tokens.len() - 1], &tokens[1..]);
        let observe = Probes { steps: true, ..Probes::default() };
        // An f32 cache holds keys and values beyond f16, so that the other checks can be made.
        let mut cache = model.new_cache_with_precision(CachePrecision::F32);
        let output = model.forward(read, &mut cache, Some(&observe))?;
        let logits: Vec<Vec<f32>> = model.logits(&output.hidden)?.to_vec2()?;
        let bits = logits
            .iter()
            .zip(targets)
            .map(|(logits, target)| nll_from_logits(logits, *target as usize) / std::f64::consts::LN_2)
            .collect();
        let steps = output.probed.unwrap_or_default().steps;
        Ok(TextRun { text: text.entry.name.clone(), bits, steps })
    }

    /// Returns the mean bits per token.
    pub(crate) fn mean_bits(&self) -> f64 {
        self.bits.iter().sum::<f64>() / self.bits.len() as f64
    }
}

/// Reports that the model was not run, with the reason. It is a fault if the model cannot be loaded, unless
/// another check has found a fault, which is the reason.
pub(crate) fn check(examination: &Examination<'_>, has_fault: bool) -> Vec<Finding> {
    let Err(refusal) = &examination.run else { return Vec::new() };
    if !has_fault && let Err(refusal) = Model::check_weights(&examination.evidence.checkpoint) {
        let judgement = fault("no command can run the model", "fix the reason and run doctor again");
        let found = format!("the model cannot be loaded: {refusal}");
        return vec![Finding::new(CHECK, "the model on a text", found, judgement)];
    }
    let means = "perplexity, the direction of scales and overflow were not examined";
    let judgement = note(means, "fix the reason and run doctor again");
    vec![Finding::new(CHECK, "the model on a text", format!("the model was not run: {refusal}"), judgement)]
}
