//! Divisions of texts into two halves, which measure how far two calibrations agree.

use super::heads::means;
use bitkv_stats::Rng;

/// The number of random divisions. Their mean hardly depends on the seed.
pub(super) const DIVISIONS: usize = 300;

/// Returns random divisions of the texts `0..texts` into two halves of equal size. If the number of texts is
/// odd, each division leaves out one text. Fewer than two texts have no division.
pub(super) fn halves(texts: usize, seed: u64) -> Vec<(Vec<usize>, Vec<usize>)> {
    let half = texts / 2;
    if half == 0 {
        return Vec::new();
    }
    let mut rng = Rng::new(seed);
    let all: Vec<usize> = (0..texts).collect();
    let division = |_| {
        let drawn = rng.sample(&all, 2 * half);
        (drawn[..half].to_vec(), drawn[half..].to_vec())
    };
    (0..DIVISIONS).map(division).collect()
}

/// Returns the mean profile of some of the texts, `[layer * heads + head]`. `profiles` is `[text][...]`.
pub(super) fn mean_of(profiles: &[Vec<f64>], texts: &[usize]) -> Vec<f64> {
    means(&texts.iter().map(|&text| profiles[text].clone()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_nothing_in_common() {
        for (texts, half) in [(2, 1), (5, 2), (20, 10)] {
            let divisions = halves(texts, 7);
            assert_eq!(divisions.len(), DIVISIONS);
            for (first, second) in divisions {
                assert_eq!((first.len(), second.len()), (half, half));
                assert!(first.iter().all(|text| !second.contains(text)));
            }
        }
        assert!(halves(1, 7).is_empty() && halves(0, 7).is_empty());
        assert_ne!(halves(20, 7)[0], halves(20, 7)[1]);
    }
}
