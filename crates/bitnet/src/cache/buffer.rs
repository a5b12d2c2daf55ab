//! The buffer that holds the keys or the values of one KV head.

use bitkv_kernels::attention::Floats;
use half::{f16, slice::HalfFloatSliceExt};

use super::{
    CachePrecision,
    codes::{CodeLayout, Codes},
    gather::gather,
};

/// The keys or the values of one KV head: one row per token, all rows of the same width.
#[derive(Clone, Debug)]
pub(super) enum Buffer {
    F16(Vec<f16>),
    F32(Vec<f32>),
    Coded(Codes),
}

impl Buffer {
    pub(super) fn new(precision: CachePrecision) -> Self {
        match precision {
            CachePrecision::F16 => Buffer::F16(Vec::new()),
            CachePrecision::F32 => Buffer::F32(Vec::new()),
        }
    }

    /// Reserves room for exactly this number of additional floats. Does nothing for codes.
    pub(super) fn reserve(&mut self, numbers: usize) {
        match self {
            Buffer::F16(values) => values.reserve_exact(numbers),
            Buffer::F32(values) => values.reserve_exact(numbers),
            Buffer::Coded(_) => {}
        }
    }

    /// Converts the rows to floats of this precision.
    pub(super) fn into_floats(self, precision: CachePrecision) -> Buffer {
        let mut floats = Buffer::new(precision);
        let rows = self.view().to_f32_vec();
        if !rows.is_empty() {
            floats.extend(&rows, rows.len(), 0, rows.len());
        }
        floats
    }

    /// Quantises the rows, each of `width` values.
    pub(super) fn into_codes(self, layout: CodeLayout, width: usize) -> Buffer {
        Buffer::Coded(Codes::new(layout, width, &self.view().to_f32_vec()))
    }

    /// Appends a part of each of the rows `[tokens, stride]`: the `width` values from column `at` on.
    pub(super) fn extend(&mut self, rows: &[f32], stride: usize, at: usize, width: usize) {
        let parts = rows.chunks_exact(stride).map(|row| &row[at..][..width]);
        match self {
            Buffer::F16(to) => {
                let old = to.len();
                to.resize(old + rows.len() / stride * width, f16::ZERO);
                let to = to[old..].chunks_exact_mut(width);
                to.zip(parts).for_each(|(to, from)| to.convert_from_f32_slice(from));
            }
            Buffer::F32(to) => parts.for_each(|part| to.extend_from_slice(part)),
            Buffer::Coded(to) => to.extend(parts),
        }
    }

    pub(super) fn view(&self) -> Floats<'_> {
        match self {
            Buffer::F16(values) => Floats::F16(values),
            Buffer::F32(values) => Floats::F32(values),
            Buffer::Coded(codes) => Floats::Packed(codes.view()),
        }
    }

    /// Quantises the rows that a forward pass appended as f16, except the newest ones that the layout keeps
    /// in f16.
    pub(super) fn quantise_due(&mut self) {
        if let Buffer::Coded(codes) = self {
            codes.quantise_due();
        }
    }

    /// Returns a copy of the chosen rows. The copy has a new allocation, because shrinking the old one might
    /// free no memory.
    pub(super) fn gather(&self, rows: &[usize], width: usize) -> Buffer {
        match self {
            Buffer::F16(values) => Buffer::F16(gather(values, rows, width)),
            Buffer::F32(values) => Buffer::F32(gather(values, rows, width)),
            Buffer::Coded(codes) => Buffer::Coded(codes.gather(rows)),
        }
    }

    /// Overwrites the last rows with `rows`.
    pub(super) fn replace_end(&mut self, rows: &[f32]) {
        match self {
            Buffer::F16(values) => {
                let first = values.len() - rows.len();
                values[first..].convert_from_f32_slice(rows);
            }
            Buffer::F32(values) => {
                let first = values.len() - rows.len();
                values[first..].copy_from_slice(rows);
            }
            Buffer::Coded(codes) => codes.replace_end(rows),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Buffer::F16(values) => size_of_val(&values[..]),
            Buffer::F32(values) => size_of_val(&values[..]),
            Buffer::Coded(codes) => codes.bytes(),
        }
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        match self {
            Buffer::F16(values) => values.capacity() * size_of::<f16>(),
            Buffer::F32(values) => values.capacity() * size_of::<f32>(),
            Buffer::Coded(codes) => codes.allocated_bytes(),
        }
    }
}
