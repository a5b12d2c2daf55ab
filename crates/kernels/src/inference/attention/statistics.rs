//! Statistics of attention probabilities, which are accumulated while the probabilities are in memory.

use super::softmax::Normaliser;
use crate::lanes::{LANES, Lanes};

/// The statistics that a caller requests.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// The attention entropy of each query.
    pub entropy: bool,
    /// The attention that each key receives, summed over all queries.
    pub accumulated: bool,
    /// The largest attention that each key receives from a single query.
    pub largest: bool,
    /// Each entry is the index of a query within the call. For each entry, the attention that each key
    /// receives, summed over the queries from this index on.
    pub windows: Vec<usize>,
    /// Each entry is the index of a query within the call. For each entry, the attention probabilities of
    /// every query from this index on.
    pub rows: Vec<usize>,
}

impl Wanted {
    /// Returns the request for a call that has only the queries from `first` on, with indices that count from
    /// there.
    #[must_use]
    pub fn from_query(&self, first: usize) -> Wanted {
        let shift = |starts: &[usize]| starts.iter().map(|start| start.saturating_sub(first)).collect();
        Wanted { windows: shift(&self.windows), rows: shift(&self.rows), ..*self }
    }
}

/// The attention probabilities of the last queries of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionRows {
    /// Index of the first query.
    pub first: usize,
    /// Number of queries.
    pub queries: usize,
    /// Probabilities, `[group, queries, keys]`; 0 if the query does not see the key.
    pub probabilities: Vec<f32>,
}

/// Statistics of one call of [`attend`](super::attend), or of several calls [merged](Statistics::merge).
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    group: usize,
    tokens: usize,
    keys: usize,
    /// Entropy in bits, `[group, tokens]`; empty if not requested. It differs by at most 3.4e-9 bits per key
    /// from the entropy of tools that leave out terms with p <= 1e-10.
    pub entropy: Vec<f32>,
    /// Summed probability, `[group, keys]`; empty if not requested.
    pub accumulated: Vec<f64>,
    /// Largest probability, `[group, keys]`; empty if not requested.
    pub largest: Vec<f32>,
    /// For each window, the index of its first query and its summed probabilities `[group, keys]`.
    pub windows: Vec<(usize, Vec<f64>)>,
    /// One entry for each entry of [`Wanted::rows`].
    pub rows: Vec<AttentionRows>,
}

impl Statistics {
    /// Returns statistics that are all 0, for `tokens` queries of `group` heads over `keys` keys.
    pub fn new(group: usize, tokens: usize, keys: usize, wanted: &Wanted) -> Self {
        let cells = |wanted: bool, n: usize| if wanted { group * n } else { 0 };
        let rows = |&first: &usize| {
            let queries = tokens.saturating_sub(first);
            AttentionRows { first, queries, probabilities: vec![0.0; group * queries * keys] }
        };
        Statistics {
            group,
            tokens,
            keys,
            entropy: vec![0.0; cells(wanted.entropy, tokens)],
            accumulated: vec![0.0; cells(wanted.accumulated, keys)],
            largest: vec![0.0; cells(wanted.largest, keys)],
            windows: wanted.windows.iter().map(|&first| (first, vec![0.0; group * keys])).collect(),
            rows: wanted.rows.iter().map(rows).collect(),
        }
    }

    /// Returns the number of query heads.
    pub fn group(&self) -> usize {
        self.group
    }

    pub(super) fn fits(&self, group: usize, tokens: usize, keys: usize) -> bool {
        (self.group, self.tokens, self.keys) == (group, tokens, keys)
    }

    pub(super) fn wants_entropy(&self) -> bool {
        !self.entropy.is_empty()
    }

    /// Adds the attention of one query to the statistics. `weights` are the weights of the first keys, before
    /// normalisation.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn add_row<L: Lanes>(
        &mut self,
        head: usize,
        token: usize,
        weights: &[f32],
        normaliser: Normaliser,
    ) {
        let (at, factor) = (head * self.keys, normaliser.reciprocal);
        // SAFETY: the caller upholds the contract.
        unsafe {
            if !self.entropy.is_empty() {
                self.entropy[head * self.tokens + token] = normaliser.entropy;
            }
            if !self.accumulated.is_empty() {
                add::<L>(&mut self.accumulated[at..][..weights.len()], weights, factor);
            }
            if !self.largest.is_empty() {
                for (largest, weight) in self.largest[at..].iter_mut().zip(weights) {
                    *largest = largest.max(weight * factor);
                }
            }
            for (_, sums) in self.windows.iter_mut().filter(|(first, _)| token >= *first) {
                add::<L>(&mut sums[at..][..weights.len()], weights, factor);
            }
        }
        for rows in self.rows.iter_mut().filter(|rows| token >= rows.first) {
            let at = (head * rows.queries + token - rows.first) * self.keys;
            let to = rows.probabilities[at..].iter_mut();
            to.zip(weights).for_each(|(to, weight)| *to = weight * factor);
        }
    }

    /// Adds the statistics of a part of the queries of this call. `first` is the index of the first query of
    /// the part; the part must have been requested by [`Wanted::from_query`]`(first)`.
    ///
    /// # Panics
    /// Panics if the part has another number of heads, or more queries or keys than fit.
    pub fn merge(&mut self, first: usize, part: &Statistics) {
        assert!(part.group == self.group && first + part.tokens <= self.tokens && part.keys <= self.keys);
        for head in 0..self.group {
            if self.wants_entropy() {
                let from = &part.entropy[head * part.tokens..][..part.tokens];
                self.entropy[head * self.tokens + first..][..part.tokens].copy_from_slice(from);
            }
            let part_keys = head * part.keys..(head + 1) * part.keys;
            let own_keys = head * self.keys..head * self.keys + part.keys;
            let add_keys = |to: &mut [f64], from: &[f64]| {
                to[own_keys.clone()].iter_mut().zip(&from[part_keys.clone()]).for_each(|(a, b)| *a += b);
            };
            if !self.accumulated.is_empty() {
                add_keys(&mut self.accumulated, &part.accumulated);
            }
            if !self.largest.is_empty() {
                raise(&mut self.largest[own_keys.clone()], &part.largest[part_keys.clone()]);
            }
            for ((_, to), (_, from)) in self.windows.iter_mut().zip(&part.windows) {
                add_keys(to, from);
            }
        }
        for (to, from) in self.rows.iter_mut().zip(&part.rows) {
            to.merge(first, from, self.keys, part.keys);
        }
    }
}

impl AttentionRows {
    /// Copies the rows of the part `from`, whose queries begin at query `first` of the whole. Rows of the
    /// part have `from_keys` keys, and rows of the whole have `keys`.
    fn merge(&mut self, first: usize, from: &AttentionRows, keys: usize, from_keys: usize) {
        let at = (first + from.first).saturating_sub(self.first);
        for (i, row) in from.probabilities.chunks_exact(from_keys.max(1)).enumerate() {
            let (head, query) = (i / from.queries, i % from.queries);
            let to = (head * self.queries + at + query) * keys;
            self.probabilities[to..][..from_keys].copy_from_slice(row);
        }
    }
}

/// Adds `weights * factor`, rounded to f32, to the sums.
///
/// # Safety
/// The machine must have the instructions of `L`.
#[inline(always)]
unsafe fn add<L: Lanes>(sums: &mut [f64], weights: &[f32], factor: f32) {
    let whole = weights.len() / LANES * LANES;
    let (weights, rest) = weights.split_at(whole);
    let (sums, last) = sums.split_at_mut(whole);
    for (sums, weights) in sums.chunks_exact_mut(LANES).zip(weights.chunks_exact(LANES)) {
        // SAFETY: both slices hold 16 values.
        unsafe {
            let p = L::load(weights.as_ptr()).mul(L::splat(factor)).widen();
            L::store_wide(L::add_wide(L::load_wide(sums.as_ptr()), p), sums.as_mut_ptr());
        }
    }
    last.iter_mut().zip(rest).for_each(|(sum, weight)| *sum += f64::from(weight * factor));
}

/// Replaces each entry of `largest` by the entry of `row` if that is larger.
#[inline(always)]
fn raise(largest: &mut [f32], row: &[f32]) {
    for (largest, p) in largest.iter_mut().zip(row) {
        *largest = largest.max(*p);
    }
}
