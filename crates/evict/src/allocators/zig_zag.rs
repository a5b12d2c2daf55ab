//! The allocator `zig-zag`.

use super::layers;
use crate::{Allocator, Division, Need, checks};

method! {
    /// Gives more tokens to layers that need more of them to keep most of their attention. Every layer gets
    /// the fraction `least` of the average share. The rest is divided in proportion to the smallest number of
    /// tokens that make up `mass` of the mean attention of the last queries, averaged over the layer's query
    /// heads.
    pub struct ZigZag {
        /// The number of last queries that are read.
        pub window: usize = 32 => checks::window,
        /// The fraction of attention to keep, 0..=1.
        pub mass: f64 = 0.9 => checks::fraction,
        /// The fraction of the average share that every layer gets, 0..=1.
        pub least: f64 = 0.2 => checks::fraction,
    }
    needs(self) [Need::Window(self.window)];
    "zig-zag" from "Zhong et al. 2024 (ZigZagKV), arXiv:2412.09036",
    "Gives more tokens to layers that need more tokens for most of their attention.",
    formula: "`least` x `n`, and the rest in proportion to the smallest number of tokens that make up \
         `mass` of the layer's attention, averaged over its heads."
}

impl Allocator for ZigZag {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let shape = division.observation.shape;
        let rows = division.observation.rows(Need::Window(self.window));
        let needed = |heads: &[&[f32]]| {
            heads.iter().map(|row| fewest(row, self.mass)).sum::<usize>() as f64 / heads.len() as f64
        };
        let needed: Vec<f64> = rows.chunks(shape.query_heads).map(needed).collect();
        let average = division.average_tokens();
        layers::repeat_for_heads(
            &layers::floor_and_share(self.least * average, average, &needed),
            shape.kv_heads,
        )
    }
}

/// Returns how many of the largest numbers of `row` are needed to make up the fraction `mass` of the sum of
/// `row`.
fn fewest(row: &[f32], mass: f64) -> usize {
    let mut sorted: Vec<f64> = row.iter().copied().map(f64::from).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let wanted = mass * sorted.iter().sum::<f64>();
    let mut reached = 0.0;
    let enough = |a: &f64| {
        reached += a;
        reached >= wanted
    };
    sorted.iter().position(enough).map_or(sorted.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_counted_first() {
        assert_eq!(fewest(&[0.25, 0.5, 0.125, 0.125], 0.75), 2);
        assert_eq!(fewest(&[0.25, 0.5, 0.125, 0.125], 0.76), 3);
        assert_eq!(fewest(&[1.0, 2.0, 1.0], 0.5), 1);
        assert_eq!(fewest(&[0.0, 0.0], 0.9), 1);
        assert_eq!(fewest(&[1.0, 1.0], 1.0), 2);
    }
}
