//! The scorer `r-kv`.

mod importance;

pub use importance::GroupMaximum;

use super::smooth::Smoothing;
use crate::{Head, Scorer, checks};

method! {
    /// Keeps the tokens that the last queries attended to and whose keys are not redundant:
    /// `lambda * importance - (1 - lambda) * redundancy`. The tokens of these queries are kept too.
    ///
    /// Importance is computed from the attention before the window. For each query, take the maximum over the
    /// group, as `group` says; then take the mean over queries, and the maximum over neighbours.
    ///
    /// Redundancy is the softmax over tokens of the mean cosine between a key and all others. Near-duplicates
    /// are keys with a cosine above `threshold`; each key leaves out its `spared` latest near-duplicates.
    ///
    /// The authors' code takes the maximum over the group of the products of queries and keys, before one
    /// softmax: `group='products'`. The preset `r-kv` has this option. `threshold` and `spared` come from
    /// that code, which also spares the first token if a key has no near-duplicate.
    pub struct RKv {
        /// The number of last queries that are read.
        pub window: usize = 8 => checks::window,
        /// The number of neighbours, including the token itself, over which the maximum is taken; odd.
        pub kernel: usize = 7 => checks::odd_kernel,
        /// What the query heads of a group take the maximum of: `probabilities`, or `products` of queries and
        /// keys, as in the authors' code.
        pub group: GroupMaximum = GroupMaximum::Probabilities,
        /// The weight of importance, 0..=1. The paper has 0.1, and the authors' code 0.07.
        pub lambda: f64 = 0.1 => checks::fraction,
        /// The cosine above which keys are near-duplicates.
        pub threshold: f64 = 0.5 => checks::within(-1.0..=1.0, "a cosine is between -1 and 1"),
        /// The number of latest near-duplicates that each key leaves out of its redundancy.
        pub spared: usize = 1,
    }
    needs(self) self.group.needs(self.window);
    "r-kv" from "Cai et al. 2025 (R-KV), arXiv:2505.24133",
    "Keeps the tokens that the last queries attended to and whose keys are not redundant.", pools: false,
    formula: "`lambda` x importance - (1 - `lambda`) x softmax of the mean cosine with other keys. Importance: \
         the maximum over the group rescaled to a sum of 1, the mean over queries, the maximum over \
         `kernel` neighbours. `group='products'`: the softmax of the group's maximum of the products of \
         queries and keys.",
    differences: "`lambda` 0.1 and `w` 8 are the paper's; `threshold` 0.5, `kernel` 7 and one spared duplicate are \
         those of its code, whose `lambda` is 0.07. The code takes the group's maximum of products, as with \
         `group='products'`. By default it is the maximum of probabilities, which is the same only if a \
         group has one query head."
}

impl Scorer for RKv {
    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let important = Smoothing::Max.smooth(&self.group.mean_over_queries(head, self.window), self.kernel);
        let redundant = redundancy(head.keys(), head.head_dim(), self.threshold, self.spared);
        for ((s, important), redundant) in out.iter_mut().zip(important).zip(redundant) {
            *s = (self.lambda * f64::from(important) - (1.0 - self.lambda) * redundant) as f32;
        }
    }
}

/// Returns the redundancy of each key, `[held]`.
fn redundancy(keys: &[f32], dim: usize, threshold: f64, spared: usize) -> Vec<f64> {
    let units: Vec<Vec<f32>> = keys.chunks_exact(dim).map(unit).collect();
    let mut sum = vec![0.0f64; dim];
    units.iter().for_each(|key| sum.iter_mut().zip(key).for_each(|(s, &x)| *s += f64::from(x)));
    // The sum of the cosines to all keys is one product; no matrix of them is needed.
    let to_all = |key: &Vec<f32>| key.iter().zip(&sum).map(|(&x, s)| f64::from(x) * s).sum::<f64>();
    let mut cosines: Vec<f64> = units.iter().map(|key| to_all(key) - f64::from(dot(key, key))).collect();
    for (i, key) in units.iter().enumerate() {
        let others = units.iter().enumerate().rev().filter(|&(j, _)| j != i);
        let near = others
            .map(|(j, other)| (j, dot(key, other)))
            .filter(|&(_, cosine)| f64::from(cosine) > threshold);
        near.take(spared).for_each(|(j, cosine)| cosines[j] -= f64::from(cosine));
    }
    let count = units.len() as f64;
    softmax(cosines.into_iter().map(|c| c / count).collect())
}

/// Returns the key divided by its length.
fn unit(key: &[f32]) -> Vec<f32> {
    let length = key.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() + 1e-8;
    key.iter().map(|&x| (f64::from(x) / length) as f32).collect()
}

/// Returns the dot product. It sums eight products in parallel, because it may be called for every pair of
/// keys.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (x, y))| *s += x * y);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

fn softmax(numbers: Vec<f64>) -> Vec<f64> {
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = numbers.into_iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_every_length_are_whole() {
        let a: Vec<f32> = (1..=19).map(|x| x as f32).collect();
        for length in 0..=19 {
            let squares: f32 = (1..=length).map(|x| (x * x) as f32).sum();
            assert_eq!(dot(&a[..length], &a[..length]), squares);
        }
    }
}
