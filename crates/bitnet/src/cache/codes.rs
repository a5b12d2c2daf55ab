//! Quantised rows of one KV head that grow, shrink and are replaced.

use bitkv_kernels::attention::Packed;
use half::{f16, slice::HalfFloatSliceExt};

use super::gather::gather;

/// How rows are grouped and which of them are quantised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Layout {
    /// Bits of a code.
    pub(super) bits: usize,
    /// Rows that share scales: 1 or `step`.
    pub(super) token_group: usize,
    /// Channels that share scales.
    pub(super) channel_group: usize,
    /// Rows are quantised so many at a time.
    pub(super) step: usize,
    /// The newest rows, which stay f16.
    pub(super) residual: usize,
}

impl Layout {
    /// How many of the first of `rows` rows are codes.
    pub(super) fn coded(&self, rows: usize) -> usize {
        rows.saturating_sub(self.residual) / self.step * self.step
    }

    /// Whether rows do not know each other and are quantised as they come.
    pub(super) fn row_by_row(&self) -> bool {
        self.step == 1 && self.residual == 0
    }

    /// The first row that must be quantised again when of `rows` rows those from `first` on are new.
    pub(super) fn restart(&self, first: usize, rows: usize) -> usize {
        first.min(self.coded(rows)) / self.step * self.step
    }

    /// Groups of `coded` rows of `width` numbers.
    fn groups(&self, coded: usize, width: usize) -> usize {
        coded / self.token_group * width.div_ceil(self.channel_group)
    }

    /// Bytes of `rows` rows of `width` numbers.
    pub(super) fn bytes(&self, rows: usize, width: usize) -> usize {
        let coded = self.coded(rows);
        let halves = 2 * self.groups(coded, width) + (rows - coded) * width;
        coded * Packed::row_bytes(width, self.bits) + halves * size_of::<f16>()
    }
}

/// Rows as [`Packed`] lays them out.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    layout: Layout,
    width: usize,
    codes: Vec<u8>,
    scales: Vec<f16>,
    minima: Vec<f16>,
    newest: Vec<f16>,
}

impl Codes {
    /// Quantises `rows`.
    pub(super) fn new(layout: Layout, width: usize, rows: &[f32]) -> Self {
        let (codes, scales, minima, newest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut new = Codes { layout, width, codes, scales, minima, newest };
        new.restart(0, rows);
        new
    }

    pub(super) fn view(&self) -> Packed<'_> {
        Packed {
            width: self.width,
            bits: self.layout.bits,
            token_group: self.layout.token_group,
            channel_group: self.layout.channel_group,
            codes: &self.codes,
            scales: &self.scales,
            minima: &self.minima,
            newest: &self.newest,
        }
    }

    /// Appends rows; they become codes now if rows do not know each other, else with [`Codes::settle`].
    pub(super) fn extend<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        for row in rows {
            let old = self.newest.len();
            self.newest.resize(old + self.width, f16::ZERO);
            self.newest[old..].convert_from_f32_slice(row);
        }
        if self.layout.row_by_row() {
            self.settle();
        }
    }

    /// Makes codes of the rows that are no longer among the newest.
    pub(super) fn settle(&mut self) {
        let view = self.view();
        let due = self.layout.coded(view.rows()) - view.coded_rows();
        if due > 0 {
            let halves = std::mem::take(&mut self.newest);
            let (old, newest) = halves.split_at(due * self.width);
            self.encode(&old.to_f32_vec());
            // A new allocation: the old one has room for a whole prompt.
            self.newest = newest.to_vec();
        }
    }

    /// Keeps the chosen rows, ascending.
    pub(super) fn gather(&self, rows: &[usize]) -> Codes {
        if self.layout.row_by_row() {
            let groups = self.width.div_ceil(self.layout.channel_group);
            return Codes {
                codes: gather(&self.codes, rows, Packed::row_bytes(self.width, self.layout.bits)),
                scales: gather(&self.scales, rows, groups),
                minima: gather(&self.minima, rows, groups),
                newest: Vec::new(),
                ..*self
            };
        }
        let gap = (0..rows.len()).find(|&i| rows[i] != i).unwrap_or(rows.len());
        let start = self.layout.restart(gap, rows.len());
        let mut kept = self.clone();
        kept.restart(start, &self.read(&rows[start..]));
        kept
    }

    /// Puts other numbers in the place of the last rows.
    pub(super) fn replace_end(&mut self, rows: &[f32]) {
        let held = self.view().rows();
        let first = held - rows.len() / self.width;
        let start = self.layout.restart(first, held);
        let mut end = self.read(&(start..first).collect::<Vec<_>>());
        end.extend_from_slice(rows);
        self.restart(start, &end);
    }

    fn read(&self, rows: &[usize]) -> Vec<f32> {
        let (view, mut out) = (self.view(), vec![0.0; rows.len() * self.width]);
        out.chunks_exact_mut(self.width).zip(rows).for_each(|(out, row)| view.row(*row, out));
        out
    }

    /// Keeps the first `start` rows, all of them codes and whole groups, and quantises `rows` behind them.
    fn restart(&mut self, start: usize, rows: &[f32]) {
        let groups = self.layout.groups(start, self.width);
        // New allocations: shrinking the old ones might leave them as large as they were.
        self.codes = self.codes[..start * Packed::row_bytes(self.width, self.layout.bits)].to_vec();
        (self.scales, self.minima) = (self.scales[..groups].to_vec(), self.minima[..groups].to_vec());
        let mut halves = vec![f16::ZERO; rows.len()];
        halves.convert_from_f32_slice(rows);
        let coded = self.layout.coded(start + rows.len() / self.width) - start;
        let groups = self.layout.groups(coded, self.width);
        self.codes.reserve_exact(coded * Packed::row_bytes(self.width, self.layout.bits));
        self.scales.reserve_exact(groups);
        self.minima.reserve_exact(groups);
        let (old, newest) = halves.split_at(coded * self.width);
        self.encode(&old.to_f32_vec());
        self.newest = newest.to_vec();
    }

    /// Appends codes of whole groups of rows, which hold numbers of f16.
    fn encode(&mut self, rows: &[f32]) {
        for block in rows.chunks_exact(self.layout.token_group * self.width) {
            let (first, bytes) = (self.codes.len(), Packed::row_bytes(self.width, self.layout.bits));
            self.codes.resize(first + self.layout.token_group * bytes, 0);
            for start in (0..self.width).step_by(self.layout.channel_group) {
                self.encode_group(block, start..self.width.min(start + self.layout.channel_group), first);
            }
        }
    }

    /// Codes the numbers of some channels of a block, whose codes begin at byte `first`.
    fn encode_group(&mut self, block: &[f32], channels: std::ops::Range<usize>, first: usize) {
        let (bits, bytes) = (self.layout.bits, Packed::row_bytes(self.width, self.layout.bits));
        let numbers = || block.chunks_exact(self.width).flat_map(|row| &row[channels.clone()]).copied();
        let (min, max) =
            (numbers().fold(f32::INFINITY, f32::min), numbers().fold(f32::NEG_INFINITY, f32::max));
        let top = ((1u32 << bits) - 1) as f32;
        let half_scale = f16::from_f32((max - min) / top);
        self.scales.push(half_scale);
        self.minima.push(f16::from_f32(min));
        // The scale that is stored, so that codes are right for what is read back.
        let scale = half_scale.to_f32();
        if scale == 0.0 {
            return;
        }
        for (row, numbers) in block.chunks_exact(self.width).enumerate() {
            for channel in channels.clone() {
                let code = ((numbers[channel] - min) / scale).round_ties_even().clamp(0.0, top) as u8;
                let byte = &mut self.codes[first + row * bytes + channel % bytes];
                *byte |= code << (bits * (channel / bytes));
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let halves = self.scales.len() + self.minima.len() + self.newest.len();
        self.codes.len() + halves * size_of::<f16>()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        let halves = self.scales.capacity() + self.minima.capacity() + self.newest.capacity();
        self.codes.capacity() + halves * size_of::<f16>()
    }
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;
