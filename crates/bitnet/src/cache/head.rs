//! One KV head of a cache.

use super::{Precision, Quantisation, buffer::Buffer};
use crate::rope::Turns;

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) keys: Buffer,
    pub(super) values: Buffer,
    /// Original positions, ascending.
    pub(super) positions: Vec<u32>,
    /// Positions that the keys are rotated to, ascending, once they are no longer the original ones.
    rotary: Option<Vec<u32>>,
    /// By how much the next token's rotary position is below its original one.
    shift: usize,
}

impl Head {
    pub(super) fn new(precision: Precision) -> Self {
        Head {
            keys: Buffer::new(precision),
            values: Buffer::new(precision),
            positions: Vec::new(),
            rotary: None,
            shift: 0,
        }
    }

    /// Holds keys and values in another way; floats of any type stay as they are if floats are asked for.
    pub(super) fn quantise(&mut self, quantisation: Quantisation, width: usize) {
        let take = |buffer: &mut Buffer| std::mem::replace(buffer, Buffer::new(Precision::F16));
        let (keys, values) = (take(&mut self.keys), take(&mut self.values));
        (self.keys, self.values) = match quantisation.layouts(width) {
            Some([of_keys, of_values]) => {
                (keys.into_codes(of_keys, width), values.into_codes(of_values, width))
            }
            None if matches!(keys, Buffer::Coded(_)) => {
                (keys.into_floats(Precision::F16), values.into_floats(Precision::F16))
            }
            None => (keys, values),
        };
    }

    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Makes room for `tokens` more rows of `width` numbers.
    pub(super) fn reserve(&mut self, tokens: usize, width: usize) {
        self.keys.reserve(tokens * width);
        self.values.reserve(tokens * width);
        self.positions.reserve_exact(tokens);
    }

    /// Notes that `tokens` tokens from position `first` on were appended to the buffers.
    pub(super) fn extend_positions(&mut self, first: usize, tokens: usize) {
        self.positions.extend((first..first + tokens).map(|p| p as u32));
        if let Some(rotary) = &mut self.rotary {
            rotary.extend((first - self.shift..first - self.shift + tokens).map(|p| p as u32));
        }
    }

    /// The chosen rows alone.
    pub(super) fn gather(&self, rows: &[usize], width: usize) -> Head {
        let of_rows = |positions: &[u32]| rows.iter().map(|row| positions[*row]).collect();
        Head {
            keys: self.keys.gather(rows, width),
            values: self.values.gather(rows, width),
            positions: of_rows(&self.positions),
            rotary: self.rotary.as_deref().map(of_rows),
            shift: self.shift,
        }
    }

    /// Positions that the keys are rotated to, ascending.
    pub(super) fn rotary(&self) -> &[u32] {
        self.rotary.as_deref().unwrap_or(&self.positions)
    }

    /// The rotary position of the token at original position `position`, which is still to come.
    pub(super) fn rotary_position(&self, position: usize) -> usize {
        position - self.shift
    }

    /// Turns the keys of `rows`, ascending, to rotary positions 0, 1, 2 ...; the token at original position `next`
    /// will follow them. Returns the index in `rows` of the first that was turned.
    pub(super) fn rerotate(&mut self, rows: &[usize], next: usize, turns: &Turns) -> Option<usize> {
        let width = turns.width();
        assert_eq!(self.values.view().len(), self.len() * width, "the angles are for heads of this width");
        self.shift = next - rows.len();
        // From now on new tokens get other rotary positions than original ones, even if no old one does.
        let rotary = self.rotary.get_or_insert_with(|| self.positions.clone());
        // Positions ascend from at least 0, so those that stay are in front of those that change.
        let first = (0..rows.len()).find(|&i| rotary[rows[i]] as usize != i)?;
        let first_row = rows[first];
        let mut keys = self.keys.view().to_f32_vec().split_off(first_row * width);
        for (to, &row) in rows.iter().enumerate().skip(first) {
            turns.turn(&mut keys[(row - first_row) * width..][..width], rotary[row] as usize, to);
            rotary[row] = to as u32;
        }
        self.keys.replace_end(&keys);
        Some(first)
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        let positions = self.positions.capacity() + self.rotary.as_ref().map_or(0, Vec::capacity);
        self.keys.allocated_bytes() + self.values.allocated_bytes() + positions * size_of::<u32>()
    }
}
