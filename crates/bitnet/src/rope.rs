//! Rotary position embedding. Channel `j` of a head is rotated together with channel `j + head_dim / 2`.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bitkv_checkpoint::Config;
use bitkv_kernels::elementwise::rotate;
use rayon::prelude::*;

use crate::KvCache;

/// A parallel task rotates at least this many positions.
const TASK_POSITIONS: usize = 16;

/// The rotary angles of a model: at position `p`, pair `j` of channels is rotated by
/// `p * frequency[j]` radians. The frequencies are those of
/// [`Config::rope_frequencies`](bitkv_checkpoint::Config::rope_frequencies).
#[derive(Clone)]
pub struct Rope {
    frequencies: Vec<f32>,
    /// The rotations of the first positions, as many as were asked for so far.
    first: Arc<Mutex<Arc<Rotation>>>,
}

impl fmt::Debug for Rope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rope").field("frequencies", &self.frequencies).finish_non_exhaustive()
    }
}

/// Cosines and sines of some positions, computed once for all layers.
pub(crate) struct Rotation {
    /// Cosines, `[positions, head_dim / 2]`.
    cos: Vec<f32>,
    /// Sines, `[positions, head_dim / 2]`.
    sin: Vec<f32>,
    half: usize,
}

impl Rope {
    pub(crate) fn new(config: &Config) -> Self {
        Rope::from_frequencies(config.rope_frequencies())
    }

    fn from_frequencies(frequencies: Vec<f32>) -> Self {
        let none = Rotation { cos: Vec::new(), sin: Vec::new(), half: frequencies.len() };
        Rope { frequencies, first: Arc::new(Mutex::new(Arc::new(none))) }
    }

    /// Returns the rotation of positions 0, 1, 2 ..., at least `positions` of them. It is computed once.
    pub(crate) fn first_positions(&self, positions: usize) -> Arc<Rotation> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.cos.len() < positions * self.frequencies.len() {
            *first = Arc::new(self.rotation(std::iter::once(0..positions.next_power_of_two())));
        }
        first.clone()
    }

    /// Returns the keys of one KV head as attention reads them, `[tokens, head_dim]`. The cache must have
    /// [positions in the cache](KvCache::has_positions_in_cache).
    pub(crate) fn keys_in_cache(&self, cache: &dyn KvCache, layer: usize, head: usize) -> Vec<f32> {
        let mut keys = cache.keys_f32(layer, head);
        let rotation = self.first_positions(keys.len() / self.width());
        for (position, key) in keys.chunks_exact_mut(self.width()).enumerate() {
            let (cos, sin) = rotation.angles(position);
            rotate(key, cos, sin);
        }
        keys
    }

    /// The width of a head.
    pub(crate) fn width(&self) -> usize {
        2 * self.frequencies.len()
    }

    /// Returns the rotation of tokens at these positions; the ranges follow one another.
    pub(crate) fn rotation(&self, positions: impl IntoIterator<Item = Range<usize>>) -> Rotation {
        let angles = positions.into_iter().flatten();
        let angles = angles.flat_map(|p| self.frequencies.iter().map(move |f| (p as f32 * f).sin_cos()));
        let (sin, cos) = angles.unzip();
        Rotation { cos, sin, half: self.frequencies.len() }
    }

    /// Returns a rerotation that can move keys between all positions below `end`.
    pub(crate) fn rerotation(&self, end: usize) -> Rerotation {
        Rerotation(self.rotation(std::iter::once(0..end)))
    }
}

/// Rotates keys from one position to another.
pub(crate) struct Rerotation(Rotation);

impl Rerotation {
    /// The width of a head.
    pub(crate) fn width(&self) -> usize {
        2 * self.0.half
    }

    /// Moves a key `[head_dim]`, which is rotated to position `from`, to position `to`. The result is as if
    /// the key had been rotated to `to` directly.
    ///
    /// The angle of rotation is the difference between the angles of the two positions, as the model rounds
    /// them.
    pub(crate) fn rotate_key(&self, key: &mut [f32], from: usize, to: usize) {
        let half = self.0.half;
        let (old, new) = (self.0.angles(from), self.0.angles(to));
        let (low, high) = key.split_at_mut(half);
        for (j, (a, b)) in low.iter_mut().zip(high).enumerate() {
            let ((old_cos, old_sin), (new_cos, new_sin)) = ((old.0[j], old.1[j]), (new.0[j], new.1[j]));
            let (cos, sin) = (new_cos * old_cos + new_sin * old_sin, new_sin * old_cos - new_cos * old_sin);
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

impl Rotation {
    /// Rotates `x [positions, heads, head_dim]` in place.
    pub(crate) fn apply(&self, x: &mut [f32], heads: usize) {
        self.apply_to(x, heads, 0..heads);
    }

    /// Rotates some of the heads of `x [positions, heads, head_dim]` in place.
    pub(crate) fn apply_to(&self, x: &mut [f32], heads: usize, which: Range<usize>) {
        let width = 2 * self.half;
        let rows = x.par_chunks_exact_mut(heads * width).with_min_len(TASK_POSITIONS).enumerate();
        rows.for_each(|(position, row)| {
            let (cos, sin) = self.angles(position);
            rotate(&mut row[which.start * width..which.end * width], cos, sin);
        });
    }

    /// Returns the cosines and sines, `[head_dim / 2]` each, of the position at this index.
    fn angles(&self, index: usize) -> (&[f32], &[f32]) {
        let range = index * self.half..(index + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_halves_are_rotated_by_position() {
        let rope = Rope::from_frequencies(vec![1.0, 0.1]);
        let mut x = [1.0, 2.0, 3.0, 4.0].repeat(4);
        rope.rotation(std::iter::once(5..7)).apply(&mut x, 2);
        for (i, row) in x.chunks(4).enumerate() {
            let p = (5 + i / 2) as f32;
            let expected = [
                p.cos() - 3.0 * p.sin(),
                2.0 * (p * 0.1).cos() - 4.0 * (p * 0.1).sin(),
                3.0 * p.cos() + p.sin(),
                4.0 * (p * 0.1).cos() + 2.0 * (p * 0.1).sin(),
            ];
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?} {expected:?}");
        }
    }

    #[test]
    fn position_zero_changes_nothing() {
        let mut x = vec![1.0, -2.0];
        Rope::from_frequencies(vec![1.0]).rotation(std::iter::once(0..1)).apply(&mut x, 1);
        assert_eq!(x, [1.0, -2.0]);
    }

    #[test]
    fn a_rerotated_key_equals_one_rotated_at_once() {
        let rope = Rope::from_frequencies(vec![1.0, 0.3, 0.001]);
        let rerotation = rope.rerotation(2000);
        for (from, to) in [(1999, 0), (1999, 1203), (7, 6), (0, 0), (3, 40)] {
            let key = [0.3, -1.0, 2.0, 0.7, 0.1, -0.5];
            let (mut rerotated, mut direct) = (key, key);
            rope.rotation(std::iter::once(from..from + 1)).apply(&mut rerotated, 1);
            rerotation.rotate_key(&mut rerotated, from, to);
            rope.rotation(std::iter::once(to..to + 1)).apply(&mut direct, 1);
            assert!(
                rerotated.iter().zip(direct).all(|(a, b)| (a - b).abs() < 2e-6),
                "{rerotated:?} {direct:?}"
            );
        }
    }
}
