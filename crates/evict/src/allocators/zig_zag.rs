use serde::{Deserialize, Serialize};

use super::{Allocator, Division, layers};
use crate::{Need, Needs, options::Options, registry::Method};

/// More tokens to layers that need more of them to keep most of their attention: above a part
/// that every layer gets, in proportion to the mean over query heads of the fewest tokens that
/// make up `mass` of the last queries' mean attention.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct ZigZag {
    /// How many of the last queries are asked.
    window: usize,
    /// The part of attention to keep, 0..=1.
    mass: f64,
    /// The part of the average share that every layer gets, 0..=1.
    least: f64,
}

impl Default for ZigZag {
    fn default() -> ZigZag {
        ZigZag { window: 32, mass: 0.9, least: 0.2 }
    }
}

impl Options for ZigZag {
    fn check(&self) -> Result<(), String> {
        if self.window == 0 {
            return Err("a window has at least one query".into());
        }
        super::check_part(self.mass)?;
        super::check_part(self.least)
    }
}

impl Method for ZigZag {
    const NAME: &'static str = "zig-zag";
    const SOURCE: &'static str = "Zhong et al. 2024 (ZigZagKV), arXiv:2412.09036";
    const DESCRIPTION: &'static str = "more tokens to layers that need more for most of their attention";
}

impl Allocator for ZigZag {
    fn needs(&self) -> Needs {
        [Need::Window(self.window)].into()
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let shape = division.observation.shape;
        let rows = division.observation.rows(Need::Window(self.window));
        let needed = |heads: &[&[f32]]| {
            heads.iter().map(|row| fewest(row, self.mass)).sum::<usize>() as f64 / heads.len() as f64
        };
        let needed: Vec<f64> = rows.chunks(shape.query_heads).map(needed).collect();
        let average = division.tokens_a_head();
        layers::spread(&layers::above(self.least * average, average, &needed), shape.kv_heads)
    }
}

/// How few of the numbers make up that part of their sum.
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
