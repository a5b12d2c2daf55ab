//! The quantised keys or values of one KV head. Rows can be appended, removed and replaced.

use bitkv_kernels::attention::Packed;
use half::{f16, slice::HalfFloatSliceExt};

use super::gather::gather;

/// How rows are divided into groups, and which rows are quantised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct CodeLayout {
    /// The bits of one code.
    pub(super) bits: usize,
    /// The number of rows that share a scale: 1 or `step`.
    pub(super) token_group: usize,
    /// The number of channels that share a scale.
    pub(super) channel_group: usize,
    /// The number of rows that are quantised together.
    pub(super) step: usize,
    /// The number of newest rows that stay f16.
    pub(super) residual: usize,
}

impl CodeLayout {
    /// Returns how many of `rows` rows are quantised. These are the oldest rows.
    pub(super) fn coded_rows(&self, rows: usize) -> usize {
        rows.saturating_sub(self.residual) / self.step * self.step
    }

    /// Whether each row is quantised independently of the others, as soon as it is appended.
    pub(super) fn row_by_row(&self) -> bool {
        self.step == 1 && self.residual == 0
    }

    /// Returns the first row that must be quantised again after the rows from `first` on have changed. `rows`
    /// is the number of all rows.
    pub(super) fn first_to_requantise(&self, first: usize, rows: usize) -> usize {
        first.min(self.coded_rows(rows)) / self.step * self.step
    }

    /// Returns the number of groups, and so of scales, in `coded` quantised rows of `width` values.
    fn groups(&self, coded: usize, width: usize) -> usize {
        coded / self.token_group * width.div_ceil(self.channel_group)
    }

    /// Returns the bytes of `rows` rows of `width` values, including scales, minima and the rows in f16.
    pub(super) fn bytes(&self, rows: usize, width: usize) -> usize {
        let coded = self.coded_rows(rows);
        let halves = 2 * self.groups(coded, width) + (rows - coded) * width;
        coded * Packed::row_bytes(width, self.bits) + halves * size_of::<f16>()
    }
}

/// Quantised rows in the layout of [`Packed`], and the newest rows in f16.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    layout: CodeLayout,
    width: usize,
    codes: Vec<u8>,
    scales: Vec<f16>,
    minima: Vec<f16>,
    newest: Vec<f16>,
}

impl Codes {
    /// Quantises `rows`, except the newest ones, which the layout keeps in f16.
    pub(super) fn new(layout: CodeLayout, width: usize, rows: &[f32]) -> Self {
        let (codes, scales, minima, newest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut new = Codes { layout, width, codes, scales, minima, newest };
        new.replace_from(0, rows);
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

    /// Appends rows. A layout that quantises row by row does so now; with other layouts,
    /// [`Codes::quantise_due`] does it at the end of the pass.
    pub(super) fn extend<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        for row in rows {
            let old = self.newest.len();
            self.newest.resize(old + self.width, f16::ZERO);
            self.newest[old..].convert_from_f32_slice(row);
        }
        if self.layout.row_by_row() {
            self.quantise_due();
        }
    }

    /// Quantises the rows that are no longer among the newest.
    pub(super) fn quantise_due(&mut self) {
        let view = self.view();
        let due = self.layout.coded_rows(view.rows()) - view.coded_rows();
        if due > 0 {
            let halves = std::mem::take(&mut self.newest);
            let (old, newest) = halves.split_at(due * self.width);
            self.encode(&old.to_f32_vec());
            // The old allocation has room for a whole prompt, so the remaining rows move to a new one.
            self.newest = newest.to_vec();
        }
    }

    /// Returns a copy with only the chosen `rows`, which are ascending. If several rows share a scale, the
    /// rows from the group of the first evicted one on are quantised again.
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
        let start = self.layout.first_to_requantise(gap, rows.len());
        let mut kept = self.clone();
        kept.replace_from(start, &self.read(&rows[start..]));
        kept
    }

    /// Overwrites the last rows with `rows`, and quantises the groups again that they belong to.
    pub(super) fn replace_end(&mut self, rows: &[f32]) {
        let held = self.view().rows();
        let first = held - rows.len() / self.width;
        let start = self.layout.first_to_requantise(first, held);
        let mut end = self.read(&(start..first).collect::<Vec<_>>());
        end.extend_from_slice(rows);
        self.replace_from(start, &end);
    }

    /// Reads the chosen rows back as f32.
    fn read(&self, rows: &[usize]) -> Vec<f32> {
        let (view, mut out) = (self.view(), vec![0.0; rows.len() * self.width]);
        out.chunks_exact_mut(self.width).zip(rows).for_each(|(out, row)| view.row(*row, out));
        out
    }

    /// Keeps the first `start` rows and replaces all later ones by `rows`, which are quantised. The kept rows
    /// must be whole groups that are quantised already.
    fn replace_from(&mut self, start: usize, rows: &[f32]) {
        let groups = self.layout.groups(start, self.width);
        // These are new allocations: shrinking the old ones might leave them as large as they were.
        self.codes = self.codes[..start * Packed::row_bytes(self.width, self.layout.bits)].to_vec();
        (self.scales, self.minima) = (self.scales[..groups].to_vec(), self.minima[..groups].to_vec());
        let mut halves = vec![f16::ZERO; rows.len()];
        halves.convert_from_f32_slice(rows);
        let coded = self.layout.coded_rows(start + rows.len() / self.width) - start;
        let groups = self.layout.groups(coded, self.width);
        self.codes.reserve_exact(coded * Packed::row_bytes(self.width, self.layout.bits));
        self.scales.reserve_exact(groups);
        self.minima.reserve_exact(groups);
        let (old, newest) = halves.split_at(coded * self.width);
        self.encode(&old.to_f32_vec());
        self.newest = newest.to_vec();
    }

    /// Quantises `rows` and appends their codes. The rows must be whole groups, and their values f16 numbers.
    fn encode(&mut self, rows: &[f32]) {
        for block in rows.chunks_exact(self.layout.token_group * self.width) {
            let (first, bytes) = (self.codes.len(), Packed::row_bytes(self.width, self.layout.bits));
            self.codes.resize(first + self.layout.token_group * bytes, 0);
            for start in (0..self.width).step_by(self.layout.channel_group) {
                self.encode_group(block, start..self.width.min(start + self.layout.channel_group), first);
            }
        }
    }

    /// Quantises one group: some `channels` of a block of rows, whose codes begin at byte `first`.
    fn encode_group(&mut self, block: &[f32], channels: std::ops::Range<usize>, first: usize) {
        let (bits, bytes) = (self.layout.bits, Packed::row_bytes(self.width, self.layout.bits));
        let numbers = || block.chunks_exact(self.width).flat_map(|row| &row[channels.clone()]).copied();
        let (min, max) =
            (numbers().fold(f32::INFINITY, f32::min), numbers().fold(f32::NEG_INFINITY, f32::max));
        let top = ((1u32 << bits) - 1) as f32;
        let half_scale = f16::from_f32((max - min) / top);
        self.scales.push(half_scale);
        self.minima.push(f16::from_f32(min));
        // Codes are computed with the stored scale, because reading back uses it.
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
mod tests {
    use super::*;

    const BY_TOKEN: CodeLayout =
        CodeLayout { bits: 2, token_group: 1, channel_group: 2, step: 1, residual: 0 };

    #[test]
    fn groups_within_a_token_match_arithmetic_by_hand() {
        // The groups of the first row, which has five values, are (0, 3), (1, 1) and (5).
        let codes = Codes::new(BY_TOKEN, 5, &[0.0, 3.0, 1.0, 1.0, 5.0, -1.0, 0.0, 2.0, 3.5, 0.25]);
        let halves = |numbers: &[f32]| numbers.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>();
        assert_eq!(codes.scales, halves(&[1.0, 0.0, 0.0, 1.0 / 3.0, 0.5, 0.0]));
        assert_eq!(codes.minima, halves(&[0.0, 1.0, 5.0, -1.0, 2.0, 0.25]));
        // A row takes two bytes: byte j holds channels j, j + 2 and j + 4. The larger value of a pair has
        // code 3.
        assert_eq!(codes.codes, [0, 3, 0, 3 | 3 << 2]);
        assert_eq!(codes.bytes(), 4 + 2 * 6 * 2);
        let mut row = [9.0; 5];
        codes.view().row(0, &mut row);
        assert_eq!(row, [0.0, 3.0, 1.0, 1.0, 5.0]);
    }

    #[test]
    fn groups_within_a_channel_match_arithmetic_by_hand() {
        let by_channel = CodeLayout { bits: 4, token_group: 3, channel_group: 1, step: 3, residual: 1 };
        let rows = [0.0, 7.0, 30.0, 7.0, 11.4, 7.0, 100.0, 200.0, 300.0, 400.0];
        let codes = Codes::new(by_channel, 2, &rows);
        assert_eq!(codes.scales, [f16::from_f32(2.0), f16::ZERO]);
        assert_eq!(codes.minima, [f16::ZERO, f16::from_f32(7.0)]);
        // The codes are 0, 15 and 11.4 / 2 = 5.7, rounded to 6. The codes of the constant channel are in the
        // high nibbles and are 0.
        assert_eq!(codes.codes, [0, 15, 6]);
        assert_eq!(codes.newest.len(), 4, "of five rows, one is residual and one waits for a full group");
        assert_eq!(codes.bytes(), 3 + 4 * 2 + 4 * 2);
        let mut row = [0.0; 2];
        codes.view().row(2, &mut row);
        assert_eq!(row, [12.0, 7.0]);
        codes.view().row(4, &mut row);
        assert_eq!(row, [300.0, 400.0]);
    }

    #[test]
    fn ties_round_to_the_even_code() {
        let layout = CodeLayout { channel_group: 4, ..BY_TOKEN };
        let codes = Codes::new(layout, 4, &[0.0, 3.0, 0.5, 1.5]);
        assert_eq!(codes.codes, [3 << 2 | 2 << 6]);
    }

    #[test]
    fn every_value_is_within_half_a_step() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for (bits, token_group, channel_group) in
            [(2, 1, 7), (4, 1, 32), (8, 1, 40), (2, 8, 1), (4, 8, 1), (8, 8, 1)]
        {
            let layout = CodeLayout { bits, token_group, channel_group, step: token_group, residual: 0 };
            let rows: Vec<f32> = (0..64 * 40).map(|_| f16::from_f32(next() * 3.0).to_f32()).collect();
            let codes = Codes::new(layout, 40, &rows);
            assert_eq!(codes.bytes(), layout.bytes(64, 40));
            let groups = 40usize.div_ceil(channel_group);
            let mut row = [0.0; 40];
            for (i, exact) in rows.chunks(40).enumerate() {
                codes.view().row(i, &mut row);
                for (c, (got, exact)) in row.iter().zip(exact).enumerate() {
                    let scale = codes.scales[i / token_group * groups + c / channel_group].to_f32();
                    // The scale is rounded to f16, so the largest value may be slightly out of range.
                    let allowed = scale * (0.5 + 2f32.powi(bits as i32 - 11)) + 1e-6;
                    assert!((got - exact).abs() <= allowed, "{bits} bits: {got} for {exact}, step {scale}");
                }
            }
        }
    }

    #[test]
    fn growing_in_parts_and_at_once_agree() {
        let rows: Vec<f32> = (0..50 * 6).map(|i| ((i * 37) % 101) as f32 / 7.0).collect();
        for layout in
            [BY_TOKEN, CodeLayout { bits: 4, token_group: 8, channel_group: 1, step: 8, residual: 10 }]
        {
            let whole = Codes::new(layout, 6, &rows);
            let mut parts = Codes::new(layout, 6, &[]);
            for part in rows.chunks(7 * 6) {
                parts.extend(part.chunks(6));
                parts.quantise_due();
            }
            assert_eq!(
                (&parts.codes, &parts.scales, &parts.minima),
                (&whole.codes, &whole.scales, &whole.minima)
            );
            assert_eq!(parts.newest, whole.newest);
            assert_eq!(parts.bytes(), layout.bytes(50, 6));
            assert!(parts.newest.capacity() <= 17 * 6, "room for old prompts is freed");
        }
    }
}
