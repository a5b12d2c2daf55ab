//! Absmean ternarisation of full-precision masters.
//!
//! Reference: transformers `integrations/bitnet.py`, `WeightQuant`, in f32.

use bitkv_kernels::ternary::Ternary;

/// A master's scale: `weight = code * multiplier`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ternarised {
    /// `1 / max(mean|W|, 1e-5)`, what masters are multiplied by before rounding.
    pub inverse: f32,
    /// What codes are multiplied by, `1 / inverse`.
    pub multiplier: f32,
}

impl Ternarised {
    /// The scale of one tensor; the mean is taken in f64, so that the order of summation does not matter.
    pub fn of(masters: &[f32]) -> Self {
        let sum: f64 = masters.iter().map(|w| f64::from(w.abs())).sum();
        let mean = (sum / masters.len().max(1) as f64) as f32;
        let inverse = 1.0 / mean.max(1e-5);
        Ternarised { inverse, multiplier: 1.0 / inverse }
    }

    /// -1, 0 or 1: the nearest to `master / mean|W|`, ties to even.
    pub fn code(self, master: f32) -> i8 {
        (master * self.inverse).round_ties_even().clamp(-1.0, 1.0) as i8
    }

    pub(crate) fn pack(self, rows: usize, cols: usize, masters: &[f32]) -> Ternary {
        Ternary::pack_with(rows, cols, |row, out| {
            let masters = &masters[row * cols..][..cols];
            out.iter_mut().zip(masters).for_each(|(code, w)| *code = self.code(*w));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_around_half_the_mean() {
        let scale = Ternarised::of(&[2.0, -2.0, 0.0, 4.0]);
        assert_eq!((scale.inverse, scale.multiplier), (0.5, 2.0));
        assert_eq!([0.9, 1.0, 1.1, -0.9, -1.1, 99.0, -99.0].map(|w| scale.code(w)), [0, 0, 1, 0, -1, 1, -1]);
    }

    #[test]
    fn dead_tensors_become_zeros() {
        let scale = Ternarised::of(&[1e-34, -1e-34]);
        assert_eq!((scale.code(1e-34), scale.code(0.0)), (0, 0));
        assert!(scale.multiplier > 0.0);
    }
}
