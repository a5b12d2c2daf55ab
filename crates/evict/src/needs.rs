//! What a run can observe, and what methods read of it.

use std::{collections::BTreeSet, fmt::Debug};

use crate::Shape;

/// One thing that a run can observe and a method may read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Need {
    /// Keys after rotary embedding, `[layers * kv_heads][held * head_dim]`.
    Keys,
    /// Values, `[layers * kv_heads][held * head_dim]`.
    Values,
    /// Attention summed over all queries so far, `[layers * query_heads][held]`.
    Accumulated,
    /// Mean attention of that many last queries (of all where there are fewer),
    /// `[layers * query_heads][held]`. A window of 1 is the last query's row.
    Window(usize),
    /// The attention rows of that many last queries one by one (of all where there are
    /// fewer), the oldest first, `[layers * query_heads][queries * held]`.
    WindowRows(usize),
    /// Mean and biased covariance of the queries before rotary embedding, without those of
    /// that many first positions: `[layers * query_heads][head_dim + head_dim * head_dim]`.
    QueryMoments(usize),
    /// The most attention that any query of the group pays to a token while the context is
    /// repeated (KVzip), `[layers * kv_heads][held]`.
    Reconstruction,
    /// L1 norm of the output projection of each value, `||W_o^h v_j||_1`,
    /// `[layers * query_heads][held]`.
    OutputNorms,
    /// The same of the value times the gain of the norm before the output projection.
    SubNormOutputNorms,
    /// Attention of queries yet to come, `[layers * query_heads][held]`. Only oracles read it.
    Future,
    /// Calibrated attention entropies in bits, `[layers * query_heads]`.
    Entropy,
    /// Mean cosine of the residual stream before and after each attention block, `[layers]`.
    ResidualSimilarity,
    /// Importance of each head from a file, `[layers * query_heads]`.
    HeadScores,
    /// How much each KV head is one for retrieval, 0..1, from a file, `[layers * kv_heads]`.
    HeadPattern,
}

/// How many rows an observation has and how long they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    /// A row for each KV head, so many numbers for each token that it holds.
    KvHeads(usize),
    /// A row for each query head, one number for each token that its KV head holds.
    QueryHeads,
    /// A row for each query head, a number for each token held and each of 1 to so many queries.
    Queries(usize),
    /// A row of so many numbers for each query head.
    Fixed(usize),
    /// So many numbers altogether.
    Numbers(usize),
}

impl Need {
    pub(crate) fn extent(self, shape: Shape) -> Extent {
        match self {
            Need::Keys | Need::Values => Extent::KvHeads(shape.head_dim),
            Need::Reconstruction => Extent::KvHeads(1),
            Need::Accumulated | Need::Window(_) | Need::OutputNorms | Need::SubNormOutputNorms => {
                Extent::QueryHeads
            }
            Need::Future => Extent::QueryHeads,
            Need::WindowRows(window) => Extent::Queries(window),
            Need::QueryMoments(_) => Extent::Fixed(shape.head_dim + shape.head_dim * shape.head_dim),
            Need::Entropy | Need::HeadScores => Extent::Numbers(shape.all_query_heads()),
            Need::HeadPattern => Extent::Numbers(shape.all_kv_heads()),
            Need::ResidualSimilarity => Extent::Numbers(shape.layers),
        }
    }

    /// What messages call it.
    pub fn name(self) -> String {
        let queries = |window| match window {
            1 => "the last query".into(),
            _ => format!("the last {window} queries"),
        };
        match self {
            Need::Keys => "keys".into(),
            Need::Values => "values".into(),
            Need::Accumulated => "accumulated attention".into(),
            Need::Window(window) => format!("attention of {}", queries(window)),
            Need::WindowRows(window) => format!("attention rows of {}", queries(window)),
            Need::QueryMoments(_) => "query moments".into(),
            Need::Reconstruction => "reconstruction attention".into(),
            Need::OutputNorms => "output norms".into(),
            Need::SubNormOutputNorms => "output norms after the sub-norm".into(),
            Need::Future => "future attention".into(),
            Need::Entropy => "calibrated entropies".into(),
            Need::ResidualSimilarity => "residual similarities".into(),
            Need::HeadScores => "head scores".into(),
            Need::HeadPattern => "a head pattern".into(),
        }
    }
}

/// Reads an observation.
pub trait Reads: Debug + Send + Sync {
    /// What it reads of it. By default, nothing but shape and positions.
    fn needs(&self) -> Needs {
        Needs::default()
    }
}

/// What a method reads, so that a run observes nothing that nobody asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Needs(BTreeSet<Need>);

impl Needs {
    /// Whether it is among them.
    pub fn contains(&self, need: Need) -> bool {
        self.0.contains(&need)
    }

    /// What either reads.
    pub fn union(self, other: Needs) -> Needs {
        self.with(other.0)
    }

    /// With more of them.
    pub fn with(mut self, more: impl IntoIterator<Item = Need>) -> Needs {
        self.0.extend(more);
        self
    }

    /// Whether only positions are read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Need> + '_ {
        self.0.iter().copied()
    }

    /// Those that are not among `others`.
    pub fn without(&self, others: &Needs) -> Needs {
        Needs(self.0.difference(&others.0).copied().collect())
    }
}

impl<const N: usize> From<[Need; N]> for Needs {
    fn from(needs: [Need; N]) -> Needs {
        Needs(needs.into())
    }
}

impl FromIterator<Need> for Needs {
    fn from_iter<I: IntoIterator<Item = Need>>(needs: I) -> Needs {
        Needs(needs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_has_what_either_has() {
        let a = Needs::from([Need::Keys, Need::Window(1), Need::Window(32)]);
        let b = Needs::from([Need::Entropy, Need::Window(32), Need::Window(64)]);
        let both = a.clone().union(b.clone());
        let expected = [Need::Keys, Need::Entropy, Need::Window(1), Need::Window(32), Need::Window(64)];
        assert_eq!(both, Needs::from(expected));
        assert_eq!(both, b.clone().union(a.clone()));
        assert_eq!(a.without(&b), Needs::from([Need::Keys, Need::Window(1)]));
        assert!(!both.is_empty() && Needs::default().is_empty());
    }
}
