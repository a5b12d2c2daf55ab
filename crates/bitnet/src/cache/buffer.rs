//! Keys or values of one KV head.

use bitkv_kernels::attention::Floats;
use half::{f16, slice::HalfFloatSliceExt};

use super::{
    Precision,
    codes::{Codes, Layout},
    gather::gather,
};

/// Rows of one KV head, all of one width.
#[derive(Clone, Debug)]
pub(super) enum Buffer {
    F16(Vec<f16>),
    F32(Vec<f32>),
    Coded(Codes),
}

impl Buffer {
    pub(super) fn new(precision: Precision) -> Self {
        match precision {
            Precision::F16 => Buffer::F16(Vec::new()),
            Precision::F32 => Buffer::F32(Vec::new()),
        }
    }

    /// Makes room for exactly so many more numbers; what becomes codes makes its own.
    pub(super) fn reserve(&mut self, numbers: usize) {
        match self {
            Buffer::F16(values) => values.reserve_exact(numbers),
            Buffer::F32(values) => values.reserve_exact(numbers),
            Buffer::Coded(_) => {}
        }
    }

    /// The same rows as floats of another type, rounded on the way.
    pub(super) fn into_floats(self, precision: Precision) -> Buffer {
        let mut floats = Buffer::new(precision);
        let rows = self.view().to_f32_vec();
        if !rows.is_empty() {
            floats.extend(&rows, rows.len(), 0, rows.len());
        }
        floats
    }

    /// The same rows as codes.
    pub(super) fn into_codes(self, layout: Layout, width: usize) -> Buffer {
        Buffer::Coded(Codes::new(layout, width, &self.view().to_f32_vec()))
    }

    /// Appends `width` values from `at` on of each row of `stride`.
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

    /// Quantises what a forward pass left as floats, if any.
    pub(super) fn settle(&mut self) {
        if let Buffer::Coded(codes) = self {
            codes.settle();
        }
    }

    /// The chosen rows in a new allocation: shrinking the old one might leave it as large as it was.
    pub(super) fn gather(&self, rows: &[usize], width: usize) -> Buffer {
        match self {
            Buffer::F16(values) => Buffer::F16(gather(values, rows, width)),
            Buffer::F32(values) => Buffer::F32(gather(values, rows, width)),
            Buffer::Coded(codes) => Buffer::Coded(codes.gather(rows)),
        }
    }

    /// Puts other numbers in the place of the last rows.
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
