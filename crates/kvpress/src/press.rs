//! A [`Press`] compresses one layer of a cache. A [`ScorerPress`] is a press that keeps the best-scored
//! tokens.

use bitkv_evict::{Reads, Reason, Shape};

use crate::{contest::Contest, layer::Layer, ties::Ties};

/// Compresses one layer of a cache.
pub(crate) trait Press: Reads {
    /// Returns whether the KV heads of a layer keep `layer.kept` tokens on average.
    fn conserves(&self) -> bool {
        true
    }

    /// Returns the positions that each KV head keeps, ascending, `[kv_heads][kept]`. `ties` decides every
    /// contest between scores.
    ///
    /// # Errors
    /// Returns an error if kvpress refuses the cache or a score is not finite.
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason>;
}

/// A press that keeps the best-scored tokens of each head: kvpress' `ScorerPress`.
pub(crate) trait ScorerPress: Reads {
    /// Returns an error if kvpress refuses a cache of this shape. The reason is a clause in which "it" is the
    /// cache.
    fn refuse(&self, _: Shape) -> Result<(), Reason> {
        Ok(())
    }

    /// Returns whether the scores depend on the budget.
    fn follows_budget(&self) -> bool {
        false
    }

    /// Returns the scores, `[kv_heads][tokens]`. Tokens with higher scores are kept.
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>>;
}

impl<S: ScorerPress> Press for S {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        Ok(keep_best(finite_scores(self, layer)?, layer.kept, ties))
    }
}

/// Returns the positions of the `count` best-scored tokens of each head, ascending.
pub(crate) fn keep_best(scores: Vec<Vec<f32>>, count: usize, ties: &mut Ties) -> Vec<Vec<u32>> {
    let best = |(head, scores)| ties.decide_in_head(&Contest::in_head(head, scores, count));
    scores.into_iter().enumerate().map(best).collect()
}

/// Returns the scores of a press, `[kv_heads][tokens]`.
///
/// # Errors
/// Returns an error if the press refuses the cache or a score is not finite.
pub(crate) fn finite_scores<S: ScorerPress>(press: &S, layer: &Layer<'_>) -> Result<Vec<Vec<f32>>, Reason> {
    press.refuse(layer.shape())?;
    let scores = if press.follows_budget() {
        press.scores(layer)
    } else {
        layer.cached("scores", press, || press.scores(layer)).to_vec()
    };
    for (head, scores) in scores.iter().enumerate() {
        if let Some(at) = scores.iter().position(|s| !s.is_finite()) {
            let (layer, score) = (layer.index, scores[at]);
            let reason =
                format!("position {at} of layer {layer}, KV head {head} scores {score}, which is not finite");
            return Err(reason.into());
        }
    }
    Ok(scores)
}

/// Returns the score of tokens that kvpress protects: the largest score of all heads plus 1.
pub(crate) fn protected_score(scores: &[Vec<f32>]) -> f32 {
    scores.iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max) + 1.0
}
