//! The reference for eviction: a cache that keeps all tokens and masks the evicted ones.

use half::f16;

use super::{
    Cache, CachePrecision, CacheShape, CacheView, KvCache, Quantisation,
    buffer::Buffer,
    codes::{CodeLayout, Codes},
    head::HeadCache,
    kept_rows,
};
use crate::{Result, Rope};

/// A cache that keeps every token and hides the evicted ones with a mask.
///
/// Eviction does not make it smaller: it is for tests and for checking plans. After [`KvCache::quantise`] it
/// holds no codes, but the f32 values of the codes.
#[derive(Clone, Debug)]
pub struct MaskedCache {
    full: Cache,
    masks: Vec<Vec<bool>>,
    quantisation: Quantisation,
    /// The number of quantised tokens of each head, `[layers * kv_heads]`. These are its oldest visible
    /// tokens.
    coded: Vec<usize>,
}

impl MaskedCache {
    /// Returns an empty f16 cache.
    pub fn new(shape: CacheShape) -> Self {
        MaskedCache::with_precision(shape, CachePrecision::default())
    }

    /// Returns an empty cache of this precision.
    pub fn with_precision(shape: CacheShape, precision: CachePrecision) -> Self {
        let heads = shape.layers * shape.kv_heads;
        MaskedCache {
            full: Cache::with_precision(shape, precision),
            masks: vec![Vec::new(); heads],
            quantisation: Quantisation::None,
            coded: vec![0; heads],
        }
    }

    /// Returns the indices of the visible tokens of a head. `head` is an index over the KV heads of all
    /// layers.
    fn visible(&self, head: usize) -> Vec<usize> {
        (0..self.masks[head].len()).filter(|i| self.masks[head][*i]).collect()
    }

    fn layouts(&self) -> Option<[CodeLayout; 2]> {
        self.quantisation.layouts(self.shape().head_dim)
    }

    /// Quantises the visible tokens of a head, from the `first` visible one on, and reads them back as f32.
    fn quantise_visible(&mut self, head: usize, first: usize) {
        let Some([key_layout, value_layout]) = self.layouts() else { return };
        let (visible, width) = (self.visible(head), self.shape().head_dim);
        let buffers = &mut self.full.heads[head];
        round_rows(&mut buffers.keys, &visible, first, key_layout, width);
        round_rows(&mut buffers.values, &visible, first, value_layout, width);
        self.coded[head] = key_layout.coded_rows(visible.len());
    }

    fn row_by_row(&self) -> bool {
        self.layouts().is_some_and(|[layout, _]| layout.row_by_row())
    }
}

/// Quantises the visible rows, from the group of the `first` visible one on, and replaces each by the values
/// of its codes.
fn round_rows(buffer: &mut Buffer, visible: &[usize], first: usize, layout: CodeLayout, width: usize) {
    let Buffer::F32(numbers) = buffer else { return };
    let rows = &visible[layout.first_to_requantise(first, visible.len())..];
    let together: Vec<f32> = rows.iter().flat_map(|row| &numbers[row * width..][..width]).copied().collect();
    let rounded = Codes::new(layout, width, &together);
    for (i, row) in rows.iter().enumerate() {
        rounded.view().row(i, &mut numbers[row * width..][..width]);
    }
}

impl KvCache for MaskedCache {
    fn shape(&self) -> CacheShape {
        self.full.shape()
    }

    fn tokens_seen(&self) -> usize {
        self.full.tokens_seen()
    }

    fn rotary_position(&self, layer: usize, head: usize) -> usize {
        self.full.rotary_position(layer, head)
    }

    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        if self.quantisation == Quantisation::None {
            self.full.append(layer, keys, values);
        } else {
            let halves =
                |numbers: &[f32]| numbers.iter().map(|x| f16::from_f32(*x).to_f32()).collect::<Vec<_>>();
            self.full.append(layer, &halves(keys), &halves(values));
        }
        let heads = self.shape().kv_heads;
        for head in 0..heads {
            let len = self.full.len(layer, head);
            self.masks[layer * heads + head].resize(len, true);
            if self.row_by_row() {
                self.quantise_visible(layer * heads + head, self.coded[layer * heads + head]);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.full.bytes()
    }

    fn forget_newest(&mut self, tokens: usize) {
        self.full.forget_newest(tokens);
        let heads = self.shape().kv_heads;
        for (i, mask) in self.masks.iter_mut().enumerate() {
            mask.truncate(self.full.len(i / heads, i % heads));
            self.coded[i] = self.coded[i].min(mask.iter().filter(|seen| **seen).count());
        }
    }

    fn largest_number(&self) -> f32 {
        match self.quantisation {
            Quantisation::None => self.full.largest_number(),
            _ => f16::MAX.to_f32(),
        }
    }

    fn count_tokens(&mut self, tokens: usize) {
        self.full.count_tokens(tokens);
    }

    fn finish_pass(&mut self) {
        self.full.finish_pass();
        (0..self.masks.len()).for_each(|head| self.quantise_visible(head, self.coded[head]));
    }

    fn view(&self, layer: usize, head: usize) -> CacheView<'_> {
        let mask = &self.masks[layer * self.shape().kv_heads + head];
        CacheView { mask: Some(mask), ..self.full.view(layer, head) }
    }

    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()> {
        let rows = kept_rows(self, kept)?;
        for (head, rows) in rows.into_iter().enumerate() {
            let visible = self.visible(head);
            let gap = (0..rows.len()).find(|&i| rows[i] != visible[i]).unwrap_or(rows.len());
            self.masks[head].fill(false);
            rows.iter().for_each(|row| self.masks[head][*row] = true);
            if self.row_by_row() {
                self.coded[head] = rows.len();
            } else {
                self.quantise_visible(head, gap);
            }
        }
        Ok(())
    }

    fn quantise(&mut self, quantisation: Quantisation) -> Result<()> {
        quantisation.check()?;
        if quantisation == self.quantisation {
            return Ok(());
        }
        self.quantisation = quantisation;
        let floats = quantisation == Quantisation::None;
        for head in 0..self.masks.len() {
            let HeadCache { keys, values, .. } = &mut self.full.heads[head];
            for buffer in [keys, values] {
                *buffer = buffer.clone().into_floats(if floats {
                    CachePrecision::F16
                } else {
                    CachePrecision::F32
                });
            }
            self.quantise_visible(head, 0);
        }
        Ok(())
    }

    fn rerotate(&mut self, rope: &Rope) -> Result<()> {
        let visible: Vec<_> = (0..self.masks.len()).map(|head| self.visible(head)).collect();
        let first_moved = self.full.rerotate_rows(Some(&visible), rope)?;
        let Some([key_layout, _]) = self.layouts() else { return Ok(()) };
        let width = self.shape().head_dim;
        for (head, first) in first_moved.into_iter().enumerate() {
            if let Some(first) = first {
                round_rows(&mut self.full.heads[head].keys, &visible[head], first, key_layout, width);
            }
        }
        Ok(())
    }
}
