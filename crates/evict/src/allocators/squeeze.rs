//! The allocator `squeeze`.

use super::layers;
use crate::{Allocator, Division, Need, checks};

/// The number of classes of layers.
const CLASSES: usize = 3;

method! {
    /// Gives fewer tokens to layers that change the residual stream little. Layers are put into three classes
    /// by the cosine between the residual stream before and after their attention. The class with the highest
    /// cosines gets the fraction `part` of an even share; the other layers share the rest evenly. The classes
    /// minimise the squared distances to their means, found exactly; the original runs k-means from a random
    /// start.
    pub struct Squeeze {
        /// The fraction of an even share that the layers of the most similar class get, 0..=1.
        pub part: f64 = 0.3 => checks::fraction,
    }
    needs(self) [Need::ResidualSimilarity];
    "squeeze" from "Wang et al. 2024 (SqueezeAttention), arXiv:2404.04793",
    "Gives fewer tokens to the layers that change the residual stream least.",
    formula: "`part` x `n` in the layers of the most similar of three classes; the other layers share the rest \
         evenly.",
    differences: "The paper finds the classes by k-means from a random start."
}

impl Allocator for Squeeze {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let shape = division.observation.shape;
        let similarity = division.observation.numbers(Need::ResidualSimilarity);
        let bar = lower_bound_of_highest_class(similarity);
        let idle = similarity.iter().filter(|&&s| s >= bar).count();
        let busy = shape.layers - idle;
        if busy == 0 {
            return vec![1.0; shape.all_kv_heads()];
        }
        let rest = (shape.layers as f64 - self.part * idle as f64) / busy as f64;
        let budgets: Vec<f64> = similarity.iter().map(|&s| if s >= bar { self.part } else { rest }).collect();
        layers::repeat_for_heads(&budgets, shape.kv_heads)
    }
}

/// Splits the numbers into three classes with the smallest sum of squared distances to the class means, and
/// returns the smallest number of the highest class. If there are fewer than three numbers, each is a class.
fn lower_bound_of_highest_class(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len();
    if count < CLASSES {
        return sorted[count - 1];
    }
    let mut best = (f64::INFINITY, count - 1);
    for second in 1..count - 1 {
        for third in second + 1..count {
            let parts = [&sorted[..second], &sorted[second..third], &sorted[third..]];
            let squares = parts.into_iter().map(squares).sum::<f64>();
            if squares < best.0 {
                best = (squares, third);
            }
        }
    }
    sorted[best.1]
}

/// Returns the sum of squared distances to the mean.
fn squares(numbers: &[f64]) -> f64 {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    numbers.iter().map(|x| (x - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_minimise_squared_distances() {
        assert_eq!(lower_bound_of_highest_class(&[0.9, 0.1, 0.95, 0.5, 0.12, 0.92]), 0.9);
        assert_eq!(lower_bound_of_highest_class(&[0.1, 0.2, 0.9]), 0.9);
        assert_eq!(lower_bound_of_highest_class(&[0.99, 0.1, 0.11, 0.5, 0.52]), 0.99);
        assert_eq!(lower_bound_of_highest_class(&[0.3, 0.2]), 0.3);
        assert_eq!(lower_bound_of_highest_class(&[0.5; 4]), 0.5);
    }
}
