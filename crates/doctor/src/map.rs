//! Finds which of the three codes means zero, from how often each code occurs.
//!
//! Training produces as many weights of +1 as of -1, and a different number of zeros. In every matrix, the
//! two codes that do not mean zero are therefore equally frequent. A histogram cannot show which of these two
//! is +1.

use crate::codes::Matrix;

/// The code that means zero in every BitNet checkpoint.
pub(crate) const ZERO: u8 = 1;

/// A wrong map is reported only if correcting it makes the sum of squared imbalances smaller by this factor,
/// and by [`CLEAR`].
const RATIO: f64 = 4.0;
/// The least decrease that correcting a wrong map must bring, in standard deviations of what balanced codes
/// would show. In the two built-in models the ratio is 21 and 55, and the difference is more than 300
/// standard deviations; random codes show 0 to 5.
const CLEAR: f64 = 12.0;

/// For each code that could mean zero, how far the other two codes are from being equally frequent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeBalance {
    /// Indexed by the code taken for zero: the sum over matrices of the squared imbalance of the other two
    /// codes, in units of its expectation if they are equally likely.
    pub(crate) imbalance: [f64; 3],
    matrices: usize,
}

impl CodeBalance {
    pub(crate) fn new(matrices: &[&Matrix]) -> CodeBalance {
        let sum = |zero: usize| matrices.iter().map(|matrix| squared_imbalance(&matrix.counts, zero)).sum();
        CodeBalance { imbalance: [sum(0), sum(1), sum(2)], matrices: matrices.len() }
    }

    /// Returns the code that means zero: [`ZERO`] unless the histograms clearly show another.
    pub(crate) fn zero_code(&self) -> u8 {
        [0, 2].into_iter().find(|other| self.is_clearly(*other, ZERO)).unwrap_or(ZERO)
    }

    /// Returns whether the histograms are clear enough to reveal a wrong map.
    pub(crate) fn is_decisive(&self) -> bool {
        let zero = self.zero_code();
        (0..3).filter(|other| *other != zero).all(|other| self.is_clearly(zero, other))
    }

    /// Returns whether the histograms clearly favour `zero` over `other` as the code of zero.
    fn is_clearly(&self, zero: u8, other: u8) -> bool {
        let [zero, other] = [zero, other].map(|code| self.imbalance[usize::from(code)]);
        // The standard deviation of the difference of two chi-squared variables.
        let deviation = (4.0 * self.matrices as f64).sqrt();
        other >= RATIO * zero && other - zero >= CLEAR * deviation
    }
}

/// Returns Pearson's chi-squared statistic for the hypothesis that the two codes other than `zero` are
/// equally likely.
fn squared_imbalance(counts: &[u64; 4], zero: usize) -> f64 {
    let [a, b] = [(zero + 1) % 3, (zero + 2) % 3].map(|code| counts[code] as f64);
    if a + b == 0.0 { 0.0 } else { (a - b).powi(2) / (a + b) }
}

/// Returns the code that should have been stored, 0, 1 or 2, if `zero` means zero. Code 3 stays 3.
pub(crate) fn corrected_code(code: u8, zero: u8) -> u8 {
    if code > 2 { code } else { (code + 4 - zero) % 3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine with the map 00 = 0, 01 = +1, 10 = -1 reads or writes a file.
    #[test]
    fn the_usual_wrong_map_is_corrected() {
        let engine = [0i8, 1, -1];
        for code in 0u8..3 {
            let written = (engine[usize::from(code)] + 1) as u8;
            assert_eq!(
                corrected_code(written, 2),
                code,
                "decoded with its map, then written with the right map"
            );
            let value = code as i8 - 1;
            let stored = engine.iter().position(|v| *v == value).unwrap() as u8;
            assert_eq!(corrected_code(stored, 0), code, "written with its map");
            assert_eq!(corrected_code(code, ZERO), code);
        }
        assert_eq!(corrected_code(3, 0), 3);
    }

    #[test]
    fn equally_frequent_codes_decide_nothing() {
        let balance = CodeBalance { imbalance: [9.0, 9.5, 8.0], matrices: 10 };
        assert_eq!((balance.zero_code(), balance.is_decisive()), (ZERO, false));
        let balance = CodeBalance { imbalance: [9000.0, 9500.0, 20.0], matrices: 10 };
        assert_eq!((balance.zero_code(), balance.is_decisive()), (2, true));
    }
}
