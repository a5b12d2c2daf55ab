//! Rotary positions, half-rotation pairs `(j, j + head_dim / 2)`.

use std::ops::Range;

use bitkv_checkpoint::Config;

pub(crate) struct Rope {
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
}

impl Rotation {
    /// Rotates `x [positions, heads, head_dim]` in place.
    pub(crate) fn apply(&self, x: &mut [f32], heads: usize) {
        let width = 2 * self.half;
        for (row, angles) in x.chunks_exact_mut(heads * width).zip(self.table.chunks_exact(self.half)) {
            for head in row.chunks_exact_mut(width) {
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
}
