//! The measured model that is most like another.

/// What decides how a cache behaves: how query heads share KV heads, and the size of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// The number of query heads per KV head.
    pub group_size: usize,
    /// The number of weights.
    pub parameters: u64,
}

/// Returns the index of the model whose group size has the ratio nearest to 1 with that of `model`; among
/// equals, the one whose number of parameters has. Returns `None` if there is no model.
pub fn nearest(model: Attention, measured: &[Attention]) -> Option<usize> {
    let ratio = |a: f64, b: f64| (a.max(1.0) / b.max(1.0)).ln().abs();
    let distance = |i: &usize| {
        let other = measured[*i];
        [
            ratio(model.group_size as f64, other.group_size as f64),
            ratio(model.parameters as f64, other.parameters as f64),
        ]
    };
    (0..measured.len()).min_by(|a, b| {
        let ([group, size], [other_group, other_size]) = (distance(a), distance(b));
        group.total_cmp(&other_group).then(size.total_cmp(&other_size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attention(group_size: usize, parameters: u64) -> Attention {
        Attention { group_size, parameters }
    }

    #[test]
    fn the_group_decides_before_the_size() {
        let measured = [attention(1, 1_000_000), attention(4, 10), attention(4, 2_000_000)];
        assert_eq!(nearest(attention(4, 2_400_000_000), &measured), Some(2));
        assert_eq!(nearest(attention(1, 10), &measured), Some(0));
        assert_eq!(nearest(attention(3, 20), &measured), Some(1));
        assert_eq!(nearest(attention(1, 10), &[]), None);
    }
}
