//! Batches of cells that run together. Each weight is read once for the whole batch, and every row has the
//! same numbers as if its cell ran alone.

use bitkv_bitnet::{Cache, Model, Sequence};
use bitkv_record::MetricGroup;
use candle_core::Tensor;

use super::{
    in_parallel::SMALL_VOCABULARY,
    job::{Cell, Job},
    unit::{Scored, Unit},
};

use crate::Result;

/// The number of questions that are asked at a time. Each needs a copy of the compressed cache.
pub(super) const QUESTIONS_AT_ONCE: usize = 16;
/// The most cells in a batch. In a larger batch, reading the weights takes so small a part of the time that
/// nothing is saved.
const MAX_CELLS: usize = 16;
/// The most bytes of logits that may exist at a time, over all contexts that are read in parallel.
const MAX_LOGITS_BYTES: usize = 256 << 20;
/// The most bytes of compressed caches that may exist at a time, over the same contexts.
const MAX_CACHE_BYTES: usize = 1 << 30;

/// Splits the cells of one unit into batches, in order. Cells that evict while decoding cannot be batched.
pub(super) fn batches<'c>(cells: &'c [&'c Cell], size: usize) -> impl Iterator<Item = &'c [&'c Cell]> {
    let evicts_once = |cell: &Cell| cell.axes.when.every.is_none();
    cells.chunk_by(move |a, b| evicts_once(a) && evicts_once(b)).flat_map(move |run| run.chunks(size))
}

/// Returns the number of cells of a unit that run together, if the cache of the whole context takes `bytes`
/// bytes.
pub(super) fn size(job: &Job, unit: &Unit, bytes: usize) -> usize {
    // A timed cell must not share the machine.
    if job.wants(MetricGroup::Timing) {
        return 1;
    }
    let vocabulary = job.loaded.config().vocab_size;
    let contexts = if vocabulary <= SMALL_VOCABULARY { rayon::current_num_threads() } else { 1 };
    let by_work = match &unit.scored {
        Scored::Text { continuation, .. } | Scored::Together { continuation, .. } => {
            MAX_LOGITS_BYTES / (contexts * continuation.len() * vocabulary * size_of::<f32>())
        }
        Scored::Questions(questions) => QUESTIONS_AT_ONCE / questions.len().max(1),
    };
    by_work.min(MAX_CACHE_BYTES / (contexts * bytes).max(1)).clamp(1, MAX_CELLS)
}

/// Reads the tokens of each cache in one forward pass. Returns the hidden states of all sequences, one
/// sequence after another.
///
/// # Errors
/// Returns an error if the model refuses the tokens of one sequence; then no cache is changed.
pub(super) fn forward(model: &Model, tokens: &[&[u32]], caches: &mut [Cache]) -> Result<Tensor> {
    let mut sequences: Vec<Sequence<'_>> =
        tokens.iter().zip(caches).map(|(tokens, cache)| Sequence { tokens, cache }).collect();
    Ok(model.forward_batch(&mut sequences)?)
}

#[cfg(test)]
mod tests {
    use bitkv_record::{AskedBudget, Axes, When};

    use super::*;

    #[test]
    fn cells_that_evict_while_decoding_run_alone() {
        let cell = |every, policy| Cell {
            policy,
            budget: AskedBudget::FULL,
            axes: Axes { when: When { prefill_chunk: None, every }, ..Axes::default() },
        };
        let cells = [None, None, None, Some(8), Some(8), None].map(|every| cell(every, 0));
        let cells: Vec<&Cell> = cells.iter().collect();
        let sizes: Vec<usize> = batches(&cells, 2).map(<[_]>::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1]);
        assert_eq!(batches(&cells, 1).count(), 6);
    }
}
