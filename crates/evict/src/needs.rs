//! Needs: the things that a run can observe, and the sets of them that methods read.

use std::{collections::BTreeSet, fmt::Debug};

use crate::Shape;

/// One thing that a run can observe and a method may read. `held` is the number of tokens that the KV head
/// holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Need {
    /// Keys after rotary embedding, `[layers * kv_heads][held * head_dim]`.
    Keys,
    /// Values, `[layers * kv_heads][held * head_dim]`.
    Values,
    /// Attention summed over all queries so far, `[layers * query_heads][held]`.
    Accumulated,
    /// Mean attention of the last queries, as many as given, or of all queries if there are fewer,
    /// `[layers * query_heads][held]`. `Window(1)` is the row of the last query.
    Window(usize),
    /// The attention rows of the last queries, as many as given, or of all queries if there are fewer. The
    /// rows follow one another, the oldest query first, `[layers * query_heads][queries * held]`.
    WindowRows(usize),
    /// The last queries after rotary embedding, as many as given, or all queries if there are fewer, the
    /// oldest first, `[layers * query_heads][queries * head_dim]`.
    WindowQueries(usize),
    /// Mean and biased covariance of the queries before rotary embedding. The queries at the first positions,
    /// as many as given, are left out, `[layers * query_heads][head_dim + head_dim * head_dim]`.
    QueryMoments(usize),
    /// The highest attention that any query of the group pays to a token while the context is repeated
    /// (KVzip), `[layers * kv_heads][held]`.
    Reconstruction,
    /// L1 norm of the output projection of each value, `||W_o^h v_j||_1`, `[layers * query_heads][held]`.
    OutputNorms,
    /// The same norm of the value times the gain of the norm before the output projection,
    /// `[layers * query_heads][held]`.
    SubNormOutputNorms,
    /// Attention of the queries of the continuation, `[layers * query_heads][held]`. Only oracles read it.
    Future,
    /// Calibrated attention entropies in bits, `[layers * query_heads]`.
    Entropy,
    /// Mean cosine between the residual stream before and after each attention block, `[layers]`.
    ResidualSimilarity,
    /// Importance of each query head, read from a file, `[layers * query_heads]`.
    HeadScores,
    /// Retrieval-head score of each KV head, 0..1, read from a file (DuoAttention), `[layers * kv_heads]`.
    HeadPattern,
}

/// The number of rows of an observation, and their length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    /// A row for each KV head, with this many numbers for each token that the head holds.
    KvHeads(usize),
    /// A row for each query head, with one number for each token that its KV head holds.
    QueryHeads,
    /// A row for each query head, with one number for each token held and each query; there are 1 to this
    /// many queries.
    Queries(usize),
    /// A row for each query head, with one vector for each query; there are 1 to this many queries.
    Vectors(usize),
    /// A row of this many numbers for each query head.
    Fixed(usize),
    /// This many numbers in total.
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
            Need::WindowQueries(window) => Extent::Vectors(window),
            Need::QueryMoments(_) => Extent::Fixed(shape.head_dim + shape.head_dim * shape.head_dim),
            Need::Entropy | Need::HeadScores => Extent::Numbers(shape.all_query_heads()),
            Need::HeadPattern => Extent::Numbers(shape.all_kv_heads()),
            Need::ResidualSimilarity => Extent::Numbers(shape.layers),
        }
    }

    /// Returns the name of the need in messages.
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
            Need::WindowQueries(window) => format!("vectors of {}", queries(window)),
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

/// A method, or a part of a method, that reads an observation.
pub trait Reads: Debug + Send + Sync {
    /// Returns the needs that the method reads. By default it reads only the shape and the positions.
    fn needs(&self) -> Needs {
        Needs::default()
    }
}

/// The set of needs of a method, so that a run observes only what is read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Needs(BTreeSet<Need>);

impl Needs {
    /// Returns whether the set contains `need`.
    pub fn contains(&self, need: Need) -> bool {
        self.0.contains(&need)
    }

    /// Returns the needs in either set.
    pub fn union(self, other: Needs) -> Needs {
        self.with(other.0)
    }

    /// Returns the set with `more` needs added.
    pub fn with(mut self, more: impl IntoIterator<Item = Need>) -> Needs {
        self.0.extend(more);
        self
    }

    /// Returns whether the set is empty: only the shape and the positions are read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the needs in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Need> + '_ {
        self.0.iter().copied()
    }

    /// Returns the needs that are not in `others`.
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
