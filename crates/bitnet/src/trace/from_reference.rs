//! Traces of the reference in plain candle.

use candle_core::Tensor;

use super::{Detail, Trace, floats};
use crate::{
    Result, Step, StepNorms,
    reference::{AttentionTensors, Reference, Watch, entropy_bits},
};

impl Trace {
    /// Runs `tokens` through the reference.
    ///
    /// # Errors
    /// Fails as [`Reference::logits`] does.
    pub fn from_reference(reference: &Reference, tokens: &[u32], detail: Detail) -> Result<Trace> {
        let trace = Trace { tokens: tokens.into(), ..Trace::default() };
        let mut recorder = TraceRecorder { trace, detail };
        let logits = reference.logits_with_watch(tokens, &mut recorder)?;
        Ok(Trace { logits: floats(&logits)?, ..recorder.trace })
    }
}

/// The [`Watch`] that builds a trace.
struct TraceRecorder {
    trace: Trace,
    detail: Detail,
}

impl Watch for TraceRecorder {
    fn step(&mut self, layer: Option<usize>, step: Step, values: &Tensor) -> candle_core::Result<()> {
        let values = floats(values)?;
        let tokens = self.trace.tokens.len();
        self.trace.steps.push(StepNorms::new(step, layer, &values, tokens));
        if self.detail == Detail::Tensors && matches!(step, Step::Embedding | Step::Output) {
            self.trace.hidden.push(values);
        }
        Ok(())
    }

    fn attention(&mut self, _: usize, attended: &AttentionTensors) -> candle_core::Result<()> {
        if self.detail == Detail::Tensors {
            self.trace.queries.push(floats(&attended.queries)?);
            self.trace.keys.push(floats(&attended.keys)?);
            self.trace.values.push(floats(&attended.values)?);
            self.trace.entropy.push(floats(&entropy_bits(&attended.probabilities.detach())?)?);
        }
        Ok(())
    }
}
