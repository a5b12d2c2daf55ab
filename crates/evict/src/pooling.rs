//! Pooling: how the numbers of a group of query heads become one number for their KV head.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How the attention of the query heads of a group is pooled for their KV head.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean.
    #[default]
    Mean,
    /// The maximum of each position.
    Max,
    /// The sum.
    Sum,
}

impl Pooling {
    /// Pools `rows`, one for each query head of a group, position by position. A single row is returned as it
    /// is.
    pub fn pool<'a>(self, rows: &[&'a [f32]]) -> Cow<'a, [f32]> {
        let Some((first, rest)) = rows.split_first() else { return Cow::Borrowed(&[]) };
        if rest.is_empty() {
            return Cow::Borrowed(first);
        }
        let mut pooled = first.to_vec();
        for row in rest {
            for (p, &x) in pooled.iter_mut().zip(*row) {
                *p = if self == Pooling::Max { p.max(x) } else { *p + x };
            }
        }
        if self == Pooling::Mean {
            pooled.iter_mut().for_each(|p| *p /= rows.len() as f32);
        }
        Cow::Owned(pooled)
    }
}

/// How the entropies of the query heads of a group are pooled for their KV head.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntropyPooling {
    /// The maximum, as in the published C++: the query head with the widest attention decides.
    #[default]
    Max,
    /// The mean.
    Mean,
}

impl EntropyPooling {
    /// Returns the entropies of the KV heads, `[layers * kv_heads]`, from those of the query heads,
    /// `[layers * query_heads]`. Every `group` consecutive query heads share one KV head.
    pub fn pool(self, entropy: &[f64], group: usize) -> Vec<f64> {
        let pool_group = |heads: &[f64]| match self {
            EntropyPooling::Max => heads.iter().copied().fold(0.0, f64::max),
            EntropyPooling::Mean => heads.iter().sum::<f64>() / heads.len() as f64,
        };
        entropy.chunks(group.max(1)).map(pool_group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_is_pooled_position_by_position() {
        let rows: [&[f32]; 2] = [&[1.0, 4.0], &[3.0, 2.0]];
        assert_eq!(*Pooling::Mean.pool(&rows), [2.0, 3.0]);
        assert_eq!(*Pooling::Max.pool(&rows), [3.0, 4.0]);
        assert_eq!(*Pooling::Sum.pool(&rows), [4.0, 6.0]);
        assert!(matches!(Pooling::Mean.pool(&rows[..1]), Cow::Borrowed([1.0, 4.0])));
    }

    #[test]
    fn entropies_are_pooled_group_by_group() {
        assert_eq!(EntropyPooling::Max.pool(&[1.0, 3.0, 0.5, 0.0], 2), [3.0, 0.5]);
        assert_eq!(EntropyPooling::Mean.pool(&[1.0, 3.0, 0.5, 0.0], 2), [2.0, 0.25]);
    }
}
