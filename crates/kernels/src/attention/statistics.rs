//! What can be learnt from probabilities while they exist.

/// Which statistics a caller wants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Entropy of every query's attention.
    pub entropy: bool,
    /// Attention summed over all queries, per key.
    pub accumulated: bool,
    /// For each entry, attention summed over the queries from this index (of this call) on, per key.
    pub windows: Vec<usize>,
}

/// Statistics of one call of [`attend`](super::attend), or of several [merged](Statistics::merge).
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    group: usize,
    tokens: usize,
    keys: usize,
    /// Bits, `[group, tokens]`; empty if not wanted. Terms with p <= 1e-10 are dropped.
    pub entropy: Vec<f32>,
    /// Summed probability, `[group, keys]`; empty if not wanted.
    pub accumulated: Vec<f64>,
    /// The first query of each window and its sums `[group, keys]`.
    pub windows: Vec<(usize, Vec<f64>)>,
}

impl Statistics {
    /// Room for `tokens` queries of `group` heads over `keys` keys, all zero.
    pub fn new(group: usize, tokens: usize, keys: usize, wanted: &Wanted) -> Self {
        let cells = |on: bool, n: usize| if on { group * n } else { 0 };
        Statistics {
            group,
            tokens,
            keys,
            entropy: vec![0.0; cells(wanted.entropy, tokens)],
            accumulated: vec![0.0; cells(wanted.accumulated, keys)],
            windows: wanted.windows.iter().map(|&first| (first, vec![0.0; group * keys])).collect(),
        }
    }

    /// Number of query heads.
    pub fn group(&self) -> usize {
        self.group
    }

    pub(super) fn fits(&self, group: usize, tokens: usize, keys: usize) -> bool {
        (self.group, self.tokens, self.keys) == (group, tokens, keys)
    }

    pub(super) fn wants_entropy(&self) -> bool {
        !self.entropy.is_empty()
    }

    #[inline(always)]
    pub(super) fn see_entropy(&mut self, head: usize, token: usize, bits: f32) {
        self.entropy[head * self.tokens + token] = bits;
    }

    /// Adds one row of probabilities over the first keys.
    #[inline(always)]
    pub(super) fn see_row(&mut self, head: usize, token: usize, row: &[f32]) {
        if !self.accumulated.is_empty() {
            add(&mut self.accumulated[head * self.keys..], row);
        }
        for (first, sums) in &mut self.windows {
            if token >= *first {
                add(&mut sums[head * self.keys..], row);
            }
        }
    }

    /// Takes in the statistics of a part of this call's queries, `first` being the part's first query.
    /// Window starts of the part are counted from its own first query.
    ///
    /// # Panics
    /// When the part has other heads, or more queries or keys than fit.
    pub fn merge(&mut self, first: usize, part: &Statistics) {
        assert!(part.group == self.group && first + part.tokens <= self.tokens && part.keys <= self.keys);
        for head in 0..self.group {
            if self.wants_entropy() {
                let from = &part.entropy[head * part.tokens..][..part.tokens];
                self.entropy[head * self.tokens + first..][..part.tokens].copy_from_slice(from);
            }
            let add_keys = |to: &mut [f64], from: &[f64]| {
                let to = &mut to[head * self.keys..][..part.keys];
                to.iter_mut().zip(&from[head * part.keys..][..part.keys]).for_each(|(a, b)| *a += b);
            };
            if !self.accumulated.is_empty() {
                add_keys(&mut self.accumulated, &part.accumulated);
            }
            for ((_, to), (_, from)) in self.windows.iter_mut().zip(&part.windows) {
                add_keys(to, from);
            }
        }
    }
}

#[inline(always)]
fn add(sums: &mut [f64], row: &[f32]) {
    for (sum, p) in sums.iter_mut().zip(row) {
        *sum += f64::from(*p);
    }
}
