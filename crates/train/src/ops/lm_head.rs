//! [`LmHeadCrossEntropy`], the LM head fused with its loss.

use std::sync::{Arc, Mutex};

use bitkv_bitnet::custom_op::contiguous_f32;
use bitkv_kernels::training::{self, LmHeadGradients, Scores};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::shaped;

/// The scores of a batch; the forward pass fills them.
pub type SharedScores = Arc<Mutex<Scores>>;

/// The tied LM head fused with the mean cross-entropy. From `hidden [rows, width]` and
/// `embedding [vocabulary, width]` it computes a scalar, the loss in nats.
///
/// The gradients are computed in the forward pass, while the logits exist.
pub struct LmHeadCrossEntropy {
    targets: Vec<u32>,
    train: bool,
    scored: SharedScores,
    saved: Mutex<Option<LmHeadGradients>>,
}

impl LmHeadCrossEntropy {
    /// Returns the operation for these `targets`, and the scores that its forward pass fills. A target of
    /// `u32::MAX` is not scored. If `train` is true, it also computes gradients.
    pub fn new(targets: Vec<u32>, train: bool) -> (LmHeadCrossEntropy, SharedScores) {
        let scored = SharedScores::default();
        (LmHeadCrossEntropy { targets, train, scored: scored.clone(), saved: Mutex::new(None) }, scored)
    }
}

impl CustomOp2 for LmHeadCrossEntropy {
    fn name(&self) -> &'static str {
        "lm-head-cross-entropy"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        e: &CpuStorage,
        le: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = le.shape().dims2()?.1;
        let (scores, gradients) = training::cross_entropy(
            contiguous_f32(self.name(), x, lx)?,
            contiguous_f32(self.name(), e, le)?,
            width,
            &self.targets,
            self.train,
        );
        let count = self.targets.iter().filter(|&&t| t != u32::MAX).count().max(1);
        let loss = scores.nll.iter().map(|&v| v as f64).sum::<f64>() / count as f64;
        *self.scored.lock().expect("one thread runs a step") = scores;
        *self.saved.lock().expect("one thread runs a step") = gradients;
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        e: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(mut found) = self.saved.lock().expect("one thread runs a step").take() else {
            bail!("the LM head computes gradients only once, and only for training");
        };
        let factor = dy.to_scalar::<f32>()?;
        if factor != 1.0 {
            found.hidden.iter_mut().chain(&mut found.embedding).for_each(|v| *v *= factor);
        }
        Ok((Some(shaped(found.hidden, x)?), Some(shaped(found.embedding, e)?)))
    }
}
