//! The forward pass.
//!
//! A long prompt is split into blocks of tokens, which run through all layers one after another. So the
//! buffers do not grow with the length of the prompt; only the cache does.

use std::ops::Range;

use bitkv_kernels::elementwise::add;
use candle_core::{Device, Tensor};

use crate::{
    Model, Output, Result, Sequence, Step, attention, linear::Activations, mlp, recorder::Recorder,
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
pub(crate) enum Keep {
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
        mut see: Recorder<'_>,
        keep: Keep,
    ) -> Result<Output> {
        for sequence in sequences.iter() {
            self.check(sequence.tokens, sequence.cache)?;
        }
        // Inside the pool, so that the many small rounds of tasks need not enter it one by one.
        let hidden = rayon::scope(|_| self.run_blocks(sequences, &mut see, keep));
        let shape = (hidden.len() / self.config.hidden_size, self.config.hidden_size);
        let observed = sequences.first().and_then(|s| see.finish(s.cache));
        Ok(Output { hidden: Tensor::from_vec(hidden, shape, &Device::Cpu)?, observed })
    }

    /// The hidden states after the final norm, `[tokens, hidden]` or `[1, hidden]`.
    fn run_blocks(&self, sequences: &mut [Sequence<'_>], see: &mut Recorder<'_>, keep: Keep) -> Vec<f32> {
        let blocks = if see.in_blocks() { BLOCK } else { usize::MAX };
        let blocks = blocks_of(sequences.iter().map(|s| s.tokens.len()), blocks);
        if blocks.len() > 1 {
            // Room is reserved once for the whole pass: growing block by block would leave room for twice as
            // many tokens.
            sequences.iter_mut().for_each(|s| s.cache.reserve(s.tokens.len()));
        }
        let (mut work, mut hidden) = (Workspace::new(self.config.plain_llama), Vec::new());
        for (i, block) in blocks.iter().enumerate() {
            let h = self.run_block(sequences, block, &mut work, see);
            let wanted = match keep {
                Keep::Last if i + 1 < blocks.len() => continue,
                Keep::Last if !see.shows_steps() => &h[h.len() - self.config.hidden_size..],
                _ => &h,
            };
            let first = hidden.len();
            hidden.resize(first + wanted.len(), 0.0);
            self.norm.kernel().apply(wanted, &mut hidden[first..]);
            see.step(Step::FinalNorm, &hidden[first..]);
        }
        sequences.iter_mut().for_each(|s| s.cache.settle());
        if keep == Keep::Last {
            hidden.drain(..hidden.len() - self.config.hidden_size);
        }
        hidden
    }

    /// Runs one block through all layers; returns the residual stream after the last layer,
    /// `[tokens, hidden]`.
    fn run_block(
        &self,
        sequences: &mut [Sequence<'_>],
        block: &[Piece],
        work: &mut Workspace,
        see: &mut Recorder<'_>,
    ) -> Vec<f32> {
        let pieces = &mut pieces_of(sequences, block);
        let rotations = Rotations::new(&self.rope, pieces);
        let tokens: Vec<u32> = pieces.iter().flat_map(|s| s.tokens).copied().collect();
        let mut h = self.embedding.rows(&tokens);
        see.step(Step::Embedding, &h);
        see.hidden(&h);
        for layer in 0..self.layers.len() {
            see.enter(Some(layer));
            self.run_layer(layer, &mut h, &rotations, pieces, work, see);
            see.step(Step::Output, &h);
            see.hidden(&h);
        }
        see.enter(None);
        pieces.iter_mut().for_each(|piece| piece.cache.count(piece.tokens.len()));
        h
    }

    /// Runs the residual stream `h [tokens, hidden]` through one layer, in place.
    fn run_layer(
        &self,
        layer: usize,
        h: &mut [f32],
        rotations: &Rotations<'_>,
        pieces: &mut [Sequence<'_>],
        work: &mut Workspace,
        see: &mut Recorder<'_>,
    ) {
        let (of_layer, Workspace { x, attention, mlp }) = (&self.layers[layer], work);
        x.fill_normed(h, &of_layer.input_norm, Step::InputNorm, see);
        let before = see.before_attention(h);
        of_layer.attention.forward(x, layer, rotations, pieces, attention, see);
        add(h, &attention.out);
        see.after_attention(before, h);
        see.step(Step::AttentionResidual, h);
        // What is shown is shown whole.
        let tokens = if see.shows_steps() { h.len() / self.config.hidden_size } else { MLP_BLOCK };
        for h in h.chunks_mut(tokens * self.config.hidden_size) {
            x.fill_normed(h, &of_layer.post_attention_norm, Step::PostAttentionNorm, see);
            of_layer.mlp.forward(x, mlp, see);
            add(h, &mlp.out);
        }
    }
}

impl Workspace {
    fn new(plain_llama: bool) -> Self {
        Workspace {
            x: Activations::empty(plain_llama),
            attention: attention::Workspace::new(plain_llama),
            mlp: mlp::Workspace::new(plain_llama),
        }
    }
}

/// Divides sequences of these lengths, one after another, into blocks of at most `most` tokens.
fn blocks_of(lengths: impl Iterator<Item = usize>, most: usize) -> Vec<Vec<Piece>> {
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

/// The sequences of a block, which follow each other, each with only its tokens of the block.
fn pieces_of<'s>(sequences: &'s mut [Sequence<'_>], block: &[Piece]) -> Vec<Sequence<'s>> {
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
    fn blocks_have_all_tokens_in_order() {
        let lengths = [3, 5, 1, 1, 8];
        assert_eq!(blocks_of(lengths.into_iter(), usize::MAX).len(), 1);
        for most in 1..20 {
            let blocks = blocks_of(lengths.into_iter(), most);
            let sizes: Vec<usize> = blocks.iter().map(|b| b.iter().map(|(_, r)| r.len()).sum()).collect();
            assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == most), "{sizes:?} of {most}");
            let tokens = blocks.into_iter().flatten().flat_map(|(i, range)| range.map(move |t| (i, t)));
            let all = lengths.into_iter().enumerate().flat_map(|(i, n)| (0..n).map(move |t| (i, t)));
            assert!(tokens.eq(all), "blocks of {most}");
        }
        assert!(blocks_of(std::iter::empty(), 4).is_empty());
    }
}
