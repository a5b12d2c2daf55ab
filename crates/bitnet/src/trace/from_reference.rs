//! Traces of the reference in plain candle.

use bitkv_kernels::elementwise::first_beyond;
use candle_core::Tensor;

use super::{Detail, Trace, floats};
use crate::{
    Error, Place, Result, Step, StepNorms,
    finite::{beyond, check_rows},
    reference::{AttentionTensors, Reference, Watch, entropy_bits},
};

impl Trace {
    /// Runs `tokens` through the reference.
    ///
    /// # Errors
    /// Fails as [`Reference::logits`] does.
    pub fn from_reference(reference: &Reference, tokens: &[u32], detail: Detail) -> Result<Trace> {
        let trace = Trace { tokens: tokens.into(), ..Trace::default() };
        let limit = reference.largest_kv_number();
        let mut recorder = TraceRecorder { trace, detail, limit, failed: None };
        let logits = reference.logits_with_watch(tokens, &mut recorder);
        if let Some(error) = recorder.failed {
            return Err(error);
        }
        let logits = floats(&logits?)?;
        check_rows(&logits, reference.config().vocab_size, |row| row, Place::Logits)?;
        Ok(Trace { logits, ..recorder.trace })
    }
}

/// The [`Watch`] that builds a trace.
struct TraceRecorder {
    trace: Trace,
    detail: Detail,
    /// The largest magnitude of a key or a value that the cache can store.
    limit: f32,
    /// The error that ended the pass.
    failed: Option<Error>,
}

impl TraceRecorder {
    /// Remembers an error of this crate and returns it as an error of candle, which ends the pass.
    fn check(&mut self, checked: Result<()>) -> candle_core::Result<()> {
        checked.map_err(|error| {
            let text = error.to_string();
            self.failed = Some(error);
            candle_core::Error::Msg(text)
        })
    }

    /// Checks keys or values, `[kv_heads, tokens, head_dim]`.
    fn check_heads(&mut self, x: &Tensor, place: impl Fn(usize) -> Place) -> candle_core::Result<()> {
        let ((_, tokens, width), numbers) = (x.dims3()?, floats(x)?);
        let Some(at) = first_beyond(&numbers, self.limit) else { return Ok(()) };
        let (head, position) = (at / (tokens * width), at / width % tokens);
        self.check(Err(beyond(place(head), position, numbers[at], self.limit)))
    }
}

impl Watch for TraceRecorder {
    fn step(&mut self, layer: Option<usize>, step: Step, values: &Tensor) -> candle_core::Result<()> {
        let values = floats(values)?;
        let tokens = self.trace.tokens.len();
        if let (Some(layer), Step::Output) = (layer, step) {
            let checked = check_rows(&values, values.len() / tokens, |row| row, Place::Hidden { layer });
            self.check(checked)?;
        }
        self.trace.steps.push(StepNorms::new(step, layer, &values, tokens));
        if self.detail == Detail::Tensors && matches!(step, Step::Embedding | Step::Output) {
            self.trace.hidden.push(values);
        }
        Ok(())
    }

    fn attention(&mut self, layer: usize, attended: &AttentionTensors) -> candle_core::Result<()> {
        self.check_heads(&attended.keys, |head| Place::Key { layer, head })?;
        self.check_heads(&attended.values, |head| Place::Value { layer, head })?;
        if self.detail == Detail::Tensors {
            self.trace.queries.push(floats(&attended.queries)?);
            self.trace.keys.push(floats(&attended.keys)?);
            self.trace.values.push(floats(&attended.values)?);
            self.trace.entropy.push(floats(&entropy_bits(&attended.probabilities.detach())?)?);
        }
        Ok(())
    }
}
