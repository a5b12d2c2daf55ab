//! The forward pass.
//!
//! A long prompt is split into blocks of tokens, which run through all layers one after another. So the
//! buffers do not grow with the length of the prompt; only the cache does.

use std::ops::Range;

use bitkv_kernels::elementwise::add;
use candle_core::{Device, Tensor};

use crate::{
    Model, Output, Result, Sequence, Step, attention,
    error::Place,
    finite::check_rows,
    linear::{Activations, Inputs},
    mlp,
    recorder::Recorder,
    rotations::Rotations,
};

/// The number of tokens that run through the layers at once. A token of the 2B-4T model takes 45 kB of
/// buffers outside of the MLP, so a block takes 23 MB.
const BLOCK: usize = 512;

/// The number of tokens that run through an MLP at once. A token of the 2B-4T model takes 70 kB there, so
/// they take 18 MB.
const MLP_BLOCK: usize = 256;

/// Which hidden states a pass returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HiddenRows {
    /// The hidden states of every token, `[tokens, hidden]`.
    All,
    /// The hidden state of the last token of the pass, `[1, hidden]`.
    Last,
}

/// Buffers that all layers and blocks reuse.
struct Workspace {
    /// The normed residual stream, which the attention block or the MLP reads.
    x: Activations,
    attention: attention::Workspace,
    mlp: mlp::Workspace,
}

/// Consecutive tokens of one sequence: the index of the sequence and the range of its tokens.
type Piece = (usize, Range<usize>);

impl Model {
    /// Runs all sequences; the recorder observes the first one.
    pub(crate) fn run(
        &self,
        sequences: &mut [Sequence<'_>],
        mut recorder: Recorder<'_>,
        rows: HiddenRows,
    ) -> Result<Output> {
        for sequence in sequences.iter() {
            self.check(sequence.tokens, sequence.cache)?;
        }
        // The whole pass runs on a thread of the pool: a pass starts many short parallel loops, and each
        // would otherwise have to enter the pool.
        let hidden = rayon::scope(|_| self.run_blocks(sequences, &mut recorder, rows))?;
        let shape = (hidden.len() / self.config.hidden_size, self.config.hidden_size);
        let probed = sequences.first().and_then(|s| recorder.finish(s.cache, &self.rope));
        Ok(Output { hidden: Tensor::from_vec(hidden, shape, &Device::Cpu)?, probed })
    }

    /// Returns the hidden states after the final norm, `[tokens, hidden]` or `[1, hidden]`.
    fn run_blocks(
        &self,
        sequences: &mut [Sequence<'_>],
        recorder: &mut Recorder<'_>,
        rows: HiddenRows,
    ) -> Result<Vec<f32>> {
        let blocks = if recorder.allows_blocks() { BLOCK } else { usize::MAX };
        let blocks = split_into_blocks(sequences.iter().map(|s| s.tokens.len()), blocks);
        if blocks.len() > 1 {
            // Room is reserved once for the whole pass: growing block by block would leave room for twice as
            // many tokens.
            sequences.iter_mut().for_each(|s| s.cache.reserve(s.tokens.len()));
        }
        let (mut workspace, mut hidden) = (Workspace::new(self.inputs()), Vec::new());
        for (i, block) in blocks.iter().enumerate() {
            let h = self.run_block(sequences, block, &mut workspace, recorder)?;
            let wanted = match rows {
                HiddenRows::Last if i + 1 < blocks.len() => continue,
                HiddenRows::Last if !recorder.records_steps() => &h[h.len() - self.config.hidden_size..],
                _ => &h,
            };
            let first = hidden.len();
            hidden.resize(first + wanted.len(), 0.0);
            self.norm.kernel().apply(wanted, &mut hidden[first..]);
            recorder.record_step(Step::FinalNorm, &hidden[first..]);
        }
        sequences.iter_mut().for_each(|s| s.cache.finish_pass());
        if rows == HiddenRows::Last {
            hidden.drain(..hidden.len() - self.config.hidden_size);
        }
        Ok(hidden)
    }

    /// Runs one block through all layers; returns the residual stream after the last layer,
    /// `[tokens, hidden]`.
    fn run_block(
        &self,
        sequences: &mut [Sequence<'_>],
        block: &[Piece],
        workspace: &mut Workspace,
        recorder: &mut Recorder<'_>,
    ) -> Result<Vec<f32>> {
        let pieces = &mut block_sequences(sequences, block);
        let rotations = Rotations::new(&self.rope, pieces);
        let tokens: Vec<u32> = pieces.iter().flat_map(|s| s.tokens).copied().collect();
        let mut h = self.embedding.gather_rows(&tokens);
        recorder.record_step(Step::Embedding, &h);
        recorder.record_hidden(&h);
        for layer in 0..self.layers.len() {
            recorder.enter_layer(Some(layer));
            self.run_layer(layer, &mut h, &rotations, pieces, workspace, recorder)?;
            self.check_hidden_states(layer, &h, pieces)?;
            recorder.record_step(Step::Output, &h);
            recorder.record_hidden(&h);
        }
        recorder.enter_layer(None);
        pieces.iter_mut().for_each(|piece| piece.cache.count_tokens(piece.tokens.len()));
        Ok(h)
    }

    /// Checks that the residual stream `h [tokens, hidden]` after a layer is finite.
    fn check_hidden_states(&self, layer: usize, h: &[f32], pieces: &[Sequence<'_>]) -> Result<()> {
        let (width, mut rest) = (self.config.hidden_size, h);
        for piece in pieces {
            let (rows, later) = rest.split_at(piece.tokens.len() * width);
            let first = piece.cache.tokens_seen();
            check_rows(rows, width, |row| first + row, Place::Hidden { layer })?;
            rest = later;
        }
        Ok(())
    }

    /// Runs the residual stream `h [tokens, hidden]` through one layer, in place.
    fn run_layer(
        &self,
        layer: usize,
        h: &mut [f32],
        rotations: &Rotations<'_>,
        pieces: &mut [Sequence<'_>],
        workspace: &mut Workspace,
        recorder: &mut Recorder<'_>,
    ) -> Result<()> {
        let (weights, Workspace { x, attention, mlp }) = (&self.layers[layer], workspace);
        x.fill_normed(h, &weights.input_norm, Step::InputNorm, recorder);
        let before = recorder.residual_before_attention(h);
        weights.attention.forward(x, layer, rotations, pieces, attention, recorder)?;
        add(h, &attention.out);
        recorder.record_residual_similarity(before, h);
        recorder.record_step(Step::AttentionResidual, h);
        // A step must be recorded for all tokens at once.
        let tokens = if recorder.records_steps() { h.len() / self.config.hidden_size } else { MLP_BLOCK };
        for h in h.chunks_mut(tokens * self.config.hidden_size) {
            x.fill_normed(h, &weights.post_attention_norm, Step::PostAttentionNorm, recorder);
            weights.mlp.forward(x, mlp, recorder);
            add(h, &mlp.out);
        }
        Ok(())
    }
}

impl Workspace {
    fn new(inputs: Inputs) -> Self {
        Workspace {
            x: Activations::empty(inputs),
            attention: attention::Workspace::new(inputs),
            mlp: mlp::Workspace::new(inputs),
        }
    }
}

/// Divides the tokens of sequences of these lengths into blocks of at most `most` tokens.
fn split_into_blocks(lengths: impl Iterator<Item = usize>, most: usize) -> Vec<Vec<Piece>> {
    let (mut blocks, mut block, mut room) = (Vec::new(), Vec::new(), most);
    for (i, length) in lengths.enumerate() {
        let mut first = 0;
        while first < length {
            let end = length.min(first.saturating_add(room));
            block.push((i, first..end));
            room -= end - first;
            first = end;
            if room == 0 {
                blocks.push(std::mem::take(&mut block));
                room = most;
            }
        }
    }
    blocks.extend((!block.is_empty()).then_some(block));
    blocks
}

/// Returns the sequences that have tokens in a block, each with only these tokens.
fn block_sequences<'s>(sequences: &'s mut [Sequence<'_>], block: &[Piece]) -> Vec<Sequence<'s>> {
    let first = block.first().map_or(0, |(i, _)| *i);
    let pieces = sequences[first..].iter_mut().zip(block);
    pieces
        .map(|(s, (_, range))| Sequence { tokens: &s.tokens[range.clone()], cache: &mut *s.cache })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_all_tokens_in_order() {
        let lengths = [3, 5, 1, 1, 8];
        assert_eq!(split_into_blocks(lengths.into_iter(), usize::MAX).len(), 1);
        for most in 1..20 {
            let blocks = split_into_blocks(lengths.into_iter(), most);
            let sizes: Vec<usize> = blocks.iter().map(|b| b.iter().map(|(_, r)| r.len()).sum()).collect();
            assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == most), "{sizes:?} of {most}");
            let tokens = blocks.into_iter().flatten().flat_map(|(i, range)| range.map(move |t| (i, t)));
            let all = lengths.into_iter().enumerate().flat_map(|(i, n)| (0..n).map(move |t| (i, t)));
            assert!(tokens.eq(all), "blocks of {most}");
        }
        assert!(split_into_blocks(std::iter::empty(), 4).is_empty());
    }
}
