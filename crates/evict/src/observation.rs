//! Observations: what policies may read of a cache.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Error, Needs, Shape,
    needs::{Extent, Need},
};

/// What was observed of a cache and its heads, in layer-major order. It borrows its data. Anything that no
/// policy needs may be missing.
///
/// ```
/// use bitkv_evict::{Budget, Need, Observation, Policy, Shape};
///
/// // One layer of two KV heads. Each head holds some of the six tokens seen, so their rows have
/// // different lengths.
/// let shape = Shape { layers: 1, query_heads: 2, kv_heads: 2, tokens: 6, head_dim: 1 };
/// let (first, second) = ([0u32, 2, 5], [1u32, 3, 4, 5]);
/// let mut observation = Observation::new(shape)
///     .with_rows(Need::Accumulated, [&[0.1f32, 0.7, 0.2][..], &[0.4, 0.1, 0.2, 0.3]])
///     .with_numbers(Need::Entropy, &[2.0, 2.0]);
/// observation.positions = vec![&first, &second];
/// assert_eq!((observation.held(0), observation.is_whole()), (3, false));
///
/// let policy = Policy::parse("entropy+accumulated-attention{sinks=0,recent=0}")?;
/// let plan = policy.plan(&observation, Budget::tokens(2)?)?;
/// assert_eq!((plan.kept(0, 0), plan.kept(0, 1)), (&[2, 5][..], &[1, 5][..]));
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The shape of the cache. `tokens` counts every token seen, whether it is still held or not.
    pub shape: Shape,
    /// The positions that each KV head holds, ascending, `[layers * kv_heads][held]`. If it is empty, every
    /// head holds every token.
    pub positions: Vec<&'a [u32]>,
    /// The base of the rotary embedding's frequencies. Policies that need [`Need::QueryMoments`] read it.
    pub rope_theta: Option<f64>,
    /// The factors by which a scaled form of RoPE divides the frequencies, `[head_dim / 2]`. If it is empty,
    /// RoPE is not scaled.
    pub rope_factors: Vec<f32>,
    rows: BTreeMap<Need, Vec<&'a [f32]>>,
    numbers: BTreeMap<Need, &'a [f64]>,
}

impl<'a> Observation<'a> {
    /// Returns an observation with a shape and nothing else.
    pub fn new(shape: Shape) -> Observation<'a> {
        let (rows, numbers) = (BTreeMap::new(), BTreeMap::new());
        Observation { shape, positions: vec![], rope_theta: None, rope_factors: vec![], rows, numbers }
    }

    /// Adds the rows for a need that is stored as rows; [`Need`] gives their shape. Empty `rows` mean that
    /// the need was not observed.
    pub fn with_rows<R: AsRef<[f32]> + ?Sized + 'a>(
        mut self,
        need: Need,
        rows: impl IntoIterator<Item = &'a R>,
    ) -> Observation<'a> {
        let rows: Vec<&[f32]> = rows.into_iter().map(AsRef::as_ref).collect();
        match rows.is_empty() {
            true => self.rows.remove(&need),
            false => self.rows.insert(need, rows),
        };
        self
    }

    /// Adds the numbers of a need that has one number per head or per layer. Empty `numbers` mean that the
    /// need was not observed.
    pub fn with_numbers(mut self, need: Need, numbers: &'a [f64]) -> Observation<'a> {
        match numbers.is_empty() {
            true => self.numbers.remove(&need),
            false => self.numbers.insert(need, numbers),
        };
        self
    }

    /// Removes everything that `needs` does not list.
    pub fn only(mut self, needs: &Needs) -> Observation<'a> {
        self.rows.retain(|&need, _| needs.contains(need));
        self.numbers.retain(|&need, _| needs.contains(need));
        self
    }

    /// Returns the rows of a need, or an empty slice if it was not observed.
    pub fn rows(&self, need: Need) -> &[&'a [f32]] {
        self.rows.get(&need).map_or(&[], Vec::as_slice)
    }

    /// Returns the numbers of a need, or an empty slice if it was not observed.
    pub fn numbers(&self, need: Need) -> &'a [f64] {
        self.numbers.get(&need).copied().unwrap_or_default()
    }

    /// Returns how many tokens KV head `index`, counted over all layers, holds.
    pub fn held(&self, index: usize) -> usize {
        self.positions.get(index).map_or(self.shape.tokens, |positions| positions.len())
    }

    /// Returns the positions that KV head `index`, counted over all layers, holds, ascending.
    pub fn held_positions(&self, index: usize) -> Cow<'a, [u32]> {
        match self.positions.get(index) {
            Some(positions) => Cow::Borrowed(positions),
            None => Cow::Owned((0..self.shape.tokens as u32).collect()),
        }
    }

    /// Returns whether every head holds every token.
    pub fn is_whole(&self) -> bool {
        (0..self.shape.all_kv_heads()).all(|head| self.held(head) == self.shape.tokens)
    }

    /// Fails if the shape or the positions are impossible.
    pub(crate) fn check_cache(&self) -> Result<(), Error> {
        self.shape.check()?;
        if self.positions.is_empty() {
            return Ok(());
        }
        expect_extent("list of positions", self.positions.len(), self.shape.all_kv_heads())?;
        for (i, positions) in self.positions.iter().enumerate() {
            let (layer, head) = (i / self.shape.kv_heads, i % self.shape.kv_heads);
            let refuse = |reason: &str| {
                let reason = format!("layer {layer}, KV head {head} {reason}");
                Err(Error::Shape { reason })
            };
            if positions.is_empty() {
                return refuse("holds no token");
            }
            if !positions.is_sorted_by(|a, b| a < b) {
                return refuse("holds positions that do not ascend");
            }
            if positions.last().is_some_and(|&last| last as usize >= self.shape.tokens) {
                return refuse("holds a position after the last token");
            }
        }
        Ok(())
    }

    /// Fails if something in `needs` is missing, has the wrong shape, or has a value that is not finite.
    /// Everything else is ignored.
    pub(crate) fn check(&self, needs: &Needs, policy: &str) -> Result<(), Error> {
        let missing: Vec<String> = needs.iter().filter(|&need| self.lacks(need)).map(Need::name).collect();
        if !missing.is_empty() {
            return Err(Error::Unobserved { policy: policy.into(), missing: missing.join(" and ") });
        }
        needs.iter().try_for_each(|need| match need.extent(self.shape) {
            Extent::Numbers(count) => self.check_numbers(need, count),
            extent => self.check_rows(need, extent),
        })
    }

    fn lacks(&self, need: Need) -> bool {
        let rope = matches!(need, Need::QueryMoments(_)) && self.rope_theta.is_none();
        rope || (self.rows(need).is_empty() && self.numbers(need).is_empty())
    }

    fn check_numbers(&self, need: Need, count: usize) -> Result<(), Error> {
        let numbers = self.numbers(need);
        expect_extent(&need.name(), numbers.len(), count)?;
        // Cosines may be negative; entropies, scores and patterns may not.
        let signed = need == Need::ResidualSimilarity;
        match numbers.iter().position(|x| !x.is_finite() || (*x < 0.0 && !signed)) {
            Some(head) if need == Need::Entropy => Err(Error::Entropy { head, value: numbers[head] }),
            Some(at) => Err(Error::Number { what: need.name(), at, value: numbers[at] }),
            None => Ok(()),
        }
    }

    fn check_rows(&self, need: Need, extent: Extent) -> Result<(), Error> {
        let (rows, shape, name) = (self.rows(need), self.shape, need.name());
        let kv = matches!(extent, Extent::KvHeads(_));
        let (heads, of_layer) = match kv {
            true => (shape.all_kv_heads(), shape.kv_heads),
            false => (shape.all_query_heads(), shape.query_heads),
        };
        let has_channels =
            matches!(need, Need::Keys | Need::Values | Need::QueryMoments(_) | Need::WindowQueries(_));
        if has_channels && shape.head_dim == 0 {
            return Err(Error::Shape { reason: format!("{name} are needed, but head_dim is 0") });
        }
        if matches!(need, Need::QueryMoments(_)) && !shape.head_dim.is_multiple_of(2) {
            let reason =
                format!("{name} are rotated by pairs of channels, but head_dim is {}", shape.head_dim);
            return Err(Error::Shape { reason });
        }
        expect_extent(&name, rows.len(), heads)?;
        for (i, row) in rows.iter().enumerate() {
            let kind = if kv { "KV head" } else { "query head" };
            let name_of_row = || format!("{name} of layer {}, {kind} {}", i / of_layer, i % of_layer);
            let held = self.held(if kv { i } else { i / shape.group() });
            let expected = match extent {
                Extent::KvHeads(width) => held * width,
                Extent::Queries(most) => held * (row.len() / held).clamp(1, most),
                Extent::Vectors(most) => shape.head_dim * (row.len() / shape.head_dim).clamp(1, most),
                Extent::Fixed(count) => count,
                _ => held,
            };
            check_row(name_of_row, row, expected)?;
        }
        Ok(())
    }
}

fn expect_extent(what: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Extent { what: what.into(), found, expected }) }
}

fn check_row(name_of_row: impl Fn() -> String, row: &[f32], expected: usize) -> Result<(), Error> {
    if row.len() != expected {
        return Err(Error::Extent { what: name_of_row(), found: row.len(), expected });
    }
    match row.iter().position(|v| !v.is_finite()) {
        Some(at) => {
            Err(Error::NotFinite { what: format!("{} at index {at}", name_of_row()), value: row[at] })
        }
        None => Ok(()),
    }
}
