//! The cache of one KV head.

use bitkv_kernels::elementwise::first_beyond;

use super::{CachePrecision, Quantisation, buffer::Buffer};
use crate::{Place, Result, finite::beyond, rope::Rerotation};

/// Keys, values and positions of one KV head.
#[derive(Clone, Debug)]
pub(super) struct HeadCache {
    pub(super) keys: Buffer,
    pub(super) values: Buffer,
    /// Original positions, ascending.
    pub(super) positions: Vec<u32>,
    /// The positions to which the keys are rotated, ascending; `None` if these are the original positions.
    rotary: Option<Vec<u32>>,
    /// The original position of the next token minus its rotary position.
    shift: usize,
}

impl HeadCache {
    pub(super) fn new(precision: CachePrecision) -> Self {
        HeadCache {
            keys: Buffer::new(precision),
            values: Buffer::new(precision),
            positions: Vec::new(),
            rotary: None,
            shift: 0,
        }
    }

    /// Quantises keys and values of `width` numbers per token. With [`Quantisation::None`], codes become f16,
    /// and floats keep their type.
    pub(super) fn quantise(&mut self, quantisation: Quantisation, width: usize) {
        let take_buffer = |buffer: &mut Buffer| std::mem::replace(buffer, Buffer::new(CachePrecision::F16));
        let (keys, values) = (take_buffer(&mut self.keys), take_buffer(&mut self.values));
        (self.keys, self.values) = match quantisation.layouts(width) {
            Some([key_layout, value_layout]) => {
                (keys.into_codes(key_layout, width), values.into_codes(value_layout, width))
            }
            None if matches!(keys, Buffer::Coded(_)) => {
                (keys.into_floats(CachePrecision::F16), values.into_floats(CachePrecision::F16))
            }
            None => (keys, values),
        };
    }

    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Reserves room for the keys and values of `tokens` more tokens, each of `width` numbers.
    pub(super) fn reserve(&mut self, tokens: usize, width: usize) {
        self.keys.reserve(tokens * width);
        self.values.reserve(tokens * width);
        self.positions.reserve_exact(tokens);
    }

    /// Appends the positions `first .. first + tokens`, for tokens whose keys and values are already in the
    /// buffers.
    pub(super) fn extend_positions(&mut self, first: usize, tokens: usize) {
        self.positions.extend((first..first + tokens).map(|p| p as u32));
        if let Some(rotary) = &mut self.rotary {
            rotary.extend((first - self.shift..first - self.shift + tokens).map(|p| p as u32));
        }
    }

    /// Returns a copy with only the chosen tokens; `rows` are their indices in this cache.
    pub(super) fn gather(&self, rows: &[usize], width: usize) -> HeadCache {
        let kept_positions = |positions: &[u32]| rows.iter().map(|row| positions[*row]).collect();
        HeadCache {
            keys: self.keys.gather(rows, width),
            values: self.values.gather(rows, width),
            positions: kept_positions(&self.positions),
            rotary: self.rotary.as_deref().map(kept_positions),
            shift: self.shift,
        }
    }

    /// The positions to which the keys are rotated, ascending, `[tokens]`.
    pub(super) fn rotary(&self) -> &[u32] {
        self.rotary.as_deref().unwrap_or(&self.positions)
    }

    /// Returns the rotary position of a token that will be appended at original position `position`.
    pub(super) fn rotary_position(&self, position: usize) -> usize {
        position - self.shift
    }

    /// Rotates the keys of `rows`, which are ascending, to rotary positions 0, 1, 2 ... `next` is the
    /// original position of the next token, which will be rotated to `rows.len()`. Returns the index in
    /// `rows` of the first key whose position changed, or `None` if no position changed.
    ///
    /// # Errors
    /// Fails if a rotated key is larger than the limit that the cache can store. The error names the head.
    pub(super) fn rerotate(
        &mut self,
        rows: &[usize],
        next: usize,
        rerotation: &Rerotation,
        (limit, place): (f32, Place),
    ) -> Result<Option<usize>> {
        let width = rerotation.width();
        assert_eq!(self.values.view().len(), self.len() * width, "the angles are for heads of this width");
        self.shift = next - rows.len();
        // From now on, the rotary positions of new tokens differ from the original ones, even if no old key
        // moves.
        let rotary = self.rotary.get_or_insert_with(|| self.positions.clone());
        // Positions ascend from at least 0, so the keys that stay come before those that move.
        let Some(first) = (0..rows.len()).find(|&i| rotary[rows[i]] as usize != i) else { return Ok(None) };
        let first_row = rows[first];
        let mut keys = self.keys.view().to_f32_vec().split_off(first_row * width);
        for (to, &row) in rows.iter().enumerate().skip(first) {
            rerotation.rotate_key(&mut keys[(row - first_row) * width..][..width], rotary[row] as usize, to);
            rotary[row] = to as u32;
        }
        if let Some(at) = first_beyond(&keys, limit) {
            let position = self.positions[first_row + at / width] as usize;
            return Err(beyond(place, position, keys[at], limit));
        }
        self.keys.replace_end(&keys);
        Ok(Some(first))
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        let positions = self.positions.capacity() + self.rotary.as_ref().map_or(0, Vec::capacity);
        self.keys.allocated_bytes() + self.values.allocated_bytes() + positions * size_of::<u32>()
    }
}
