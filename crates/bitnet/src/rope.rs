//! Rotary positions, half-rotation pairs `(j, j + head_dim / 2)`.

use std::ops::Range;

use bitkv_checkpoint::Config;

/// A model's rotary angles: pair `j` of position `p` is turned by `p / theta^(2 j / head_dim)` radians.
#[derive(Clone, Debug)]
pub struct Rope {
    frequencies: Vec<f32>,
}

/// Cosines and sines of some positions, made once for all layers.
pub(crate) struct Rotation {
    /// `[positions, head_dim / 2]` of (cos, sin).
    table: Vec<(f32, f32)>,
    half: usize,
}

impl Rope {
    pub(crate) fn new(config: &Config) -> Self {
        let (theta, width) = (config.rope_theta as f32, config.head_dim);
        Rope {
            frequencies: (0..width / 2).map(|j| 1.0 / theta.powf((2 * j) as f32 / width as f32)).collect(),
        }
    }

    /// Width of a head.
    pub(crate) fn width(&self) -> usize {
        2 * self.frequencies.len()
    }

    /// The rotations of several ranges of positions, one after another.
    pub(crate) fn at(&self, positions: impl IntoIterator<Item = Range<usize>>) -> Rotation {
        let angle = |p: usize, f: &f32| {
            let (sin, cos) = (p as f32 * f).sin_cos();
            (cos, sin)
        };
        let table = positions
            .into_iter()
            .flatten()
            .flat_map(|p| self.frequencies.iter().map(move |f| angle(p, f)))
            .collect();
        Rotation { table, half: self.frequencies.len() }
    }

    /// Turns between positions below `end`.
    pub(crate) fn turns(&self, end: usize) -> Turns {
        Turns(self.at(std::iter::once(0..end)))
    }
}

/// Turns keys from one position to another.
pub(crate) struct Turns(Rotation);

impl Turns {
    /// Width of a head.
    pub(crate) fn width(&self) -> usize {
        2 * self.0.half
    }

    /// Turns a key `[head_dim]` that was rotated to position `from`, so that it is as if rotated to `to`.
    ///
    /// The angle is the difference of the two that rotating itself uses, rounding included.
    pub(crate) fn turn(&self, key: &mut [f32], from: usize, to: usize) {
        let Rotation { table, half } = &self.0;
        let (from, to) = (&table[from * half..][..*half], &table[to * half..][..*half]);
        let (low, high) = key.split_at_mut(*half);
        for ((a, b), (old, new)) in low.iter_mut().zip(high).zip(from.iter().zip(to)) {
            let (cos, sin) = (new.0 * old.0 + new.1 * old.1, new.1 * old.0 - new.0 * old.1);
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
        for (row, angles) in x.chunks_exact_mut(heads * width).zip(self.table.chunks_exact(self.half)) {
            for head in row[which.start * width..which.end * width].chunks_exact_mut(width) {
                let (low, high) = head.split_at_mut(self.half);
                for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(angles) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_halves_by_position() {
        let rope = Rope { frequencies: vec![1.0, 0.1] };
        let mut x = [1.0, 2.0, 3.0, 4.0].repeat(4);
        rope.at(std::iter::once(5..7)).apply(&mut x, 2);
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
        Rope { frequencies: vec![1.0] }.at(std::iter::once(0..1)).apply(&mut x, 1);
        assert_eq!(x, [1.0, -2.0]);
    }

    #[test]
    fn a_turned_key_is_one_rotated_there() {
        let rope = Rope { frequencies: vec![1.0, 0.3, 0.001] };
        let turns = rope.turns(2000);
        for (from, to) in [(1999, 0), (1999, 1203), (7, 6), (0, 0), (3, 40)] {
            let key = [0.3, -1.0, 2.0, 0.7, 0.1, -0.5];
            let (mut turned, mut direct) = (key, key);
            rope.at(std::iter::once(from..from + 1)).apply(&mut turned, 1);
            turns.turn(&mut turned, from, to);
            rope.at(std::iter::once(to..to + 1)).apply(&mut direct, 1);
            assert!(turned.iter().zip(direct).all(|(a, b)| (a - b).abs() < 2e-6), "{turned:?} {direct:?}");
        }
    }
}
