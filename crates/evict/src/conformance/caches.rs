//! Small random caches, with observations of everything that a method might read.

use std::collections::BTreeMap;

use bitkv_stats::Rng;

use crate::{Need, Needs, Observation, Shape, needs::Extent};

/// A cache with the data that an [`Observation`] borrows.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    /// The name of the cache in failures.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// The positions that each KV head holds; empty if every head holds every token.
    positions: Vec<Vec<u32>>,
    rows: BTreeMap<Need, Vec<Vec<f32>>>,
    numbers: BTreeMap<Need, Vec<f64>>,
}

const SMALL: Shape = Shape { layers: 2, query_heads: 4, kv_heads: 2, tokens: 24, head_dim: 4 };
/// The shape of a cache that is longer than the default windows of all methods.
pub(super) const LARGE: Shape = Shape { tokens: 192, ..SMALL };

impl Cache {
    /// Returns caches of several shapes: whole caches first, then one whose heads have evicted different
    /// tokens.
    pub(super) fn several(needs: &Needs) -> Vec<Cache> {
        let mut rng = Rng::new(1);
        let one_token = Shape { tokens: 1, ..SMALL };
        let narrow = Shape { layers: 1, query_heads: 3, kv_heads: 1, tokens: 7, head_dim: 2 };
        let evicted = (0..LARGE.all_kv_heads()).map(|_| two_thirds_of(LARGE.tokens, &mut rng)).collect();
        vec![
            Cache::whole("a cache of 24 tokens", SMALL, needs, &mut rng),
            Cache::whole("a cache of 192 tokens", LARGE, needs, &mut rng),
            Cache::whole("a cache of one KV head and 7 tokens", narrow, needs, &mut rng),
            Cache::whole("a cache of one token", one_token, needs, &mut rng),
            Cache::drawn("a cache of 192 tokens that was compressed before", LARGE, evicted, needs, &mut rng),
        ]
    }

    /// Returns a whole cache of shape [`LARGE`].
    pub(super) fn large(needs: &Needs) -> Cache {
        Cache::whole("a cache of 192 tokens", LARGE, needs, &mut Rng::new(2))
    }

    /// Returns a cache of shape [`LARGE`] in which all tokens of a head have the same numbers, and every head
    /// holds `positions`.
    pub(super) fn identical_tokens(positions: &[u32], needs: &Needs) -> Cache {
        let mut rng = Rng::new(3);
        let all = vec![positions.to_vec(); LARGE.all_kv_heads()];
        let mut cache = Cache::drawn("a cache of identical tokens", LARGE, all, needs, &mut rng);
        for (&need, rows) in &mut cache.rows {
            let mut rng = Rng::new(4);
            let width = if let Extent::KvHeads(width) = need.extent(LARGE) { width } else { 1 };
            let fixed = matches!(need.extent(LARGE), Extent::Fixed(_));
            for row in rows.iter_mut() {
                // The count of numbers drawn does not depend on `positions`, so that the tokens are the same
                // for every set of positions.
                let token: Vec<f32> = (0..width).map(|_| rng.unit() as f32).collect();
                match fixed {
                    true => row.iter_mut().for_each(|x| *x = rng.unit() as f32),
                    false => row.chunks_mut(width).for_each(|entry| entry.copy_from_slice(&token)),
                }
            }
        }
        cache
    }

    fn whole(name: &'static str, shape: Shape, needs: &Needs, rng: &mut Rng) -> Cache {
        Cache::drawn(name, shape, Vec::new(), needs, rng)
    }

    fn drawn(
        name: &'static str,
        shape: Shape,
        positions: Vec<Vec<u32>>,
        needs: &Needs,
        rng: &mut Rng,
    ) -> Cache {
        let mut cache = Cache { name, shape, positions, rows: BTreeMap::new(), numbers: BTreeMap::new() };
        needs.iter().for_each(|need| cache.draw(need, rng));
        cache
    }

    fn draw(&mut self, need: Need, rng: &mut Rng) {
        let (shape, extent) = (self.shape, need.extent(self.shape));
        if let Extent::Numbers(count) = extent {
            self.numbers.insert(need, (0..count).map(|_| 5.0 * rng.unit()).collect());
            return;
        }
        let (heads, group) = match extent {
            Extent::KvHeads(_) => (shape.all_kv_heads(), 1),
            _ => (shape.all_query_heads(), shape.group()),
        };
        let length = |held: usize| match extent {
            Extent::KvHeads(width) => held * width,
            Extent::Queries(most) => held * most.min(shape.tokens),
            Extent::Vectors(most) => shape.head_dim * most.min(shape.tokens),
            Extent::Fixed(count) | Extent::Numbers(count) => count,
            Extent::QueryHeads => held,
        };
        // Keys, values and queries can be negative; attention, norms and importance cannot.
        let signed = matches!(need, Need::Keys | Need::Values | Need::WindowQueries(_));
        let (scale, least) = if signed { (6.0, -3.0) } else { (1.0, 0.0) };
        let mut row = |head: usize| -> Vec<f32> {
            let draw = |_| number(rng, scale, least);
            (0..length(self.held(head / group))).map(draw).collect()
        };
        let rows = (0..heads).map(&mut row).collect();
        self.rows.insert(need, rows);
    }

    fn held(&self, kv_head: usize) -> usize {
        self.positions.get(kv_head).map_or(self.shape.tokens, Vec::len)
    }

    /// Returns a copy in which everything that `needs` does not list is drawn again.
    pub(super) fn with_others_redrawn(&self, needs: &Needs) -> Cache {
        let (mut cache, mut rng) = (self.clone(), Rng::new(5));
        let all: Vec<Need> = self.rows.keys().chain(self.numbers.keys()).copied().collect();
        all.into_iter().filter(|&need| !needs.contains(need)).for_each(|need| cache.draw(need, &mut rng));
        cache
    }

    /// Returns an observation of the whole cache.
    pub(super) fn view(&self) -> Observation<'_> {
        let mut observation = Observation::new(self.shape);
        observation.positions = self.positions.iter().map(Vec::as_slice).collect();
        observation.rope_theta = Some(10_000.0);
        let observation = self
            .rows
            .iter()
            .fold(observation, |observation, (&need, rows)| observation.with_rows(need, rows));
        self.numbers
            .iter()
            .fold(observation, |observation, (&need, numbers)| observation.with_numbers(need, numbers))
    }
}

/// Returns everything that the methods of this crate read by default. The needs of other methods are added to
/// it.
pub(super) fn usual_needs() -> Needs {
    Needs::from([
        Need::Keys,
        Need::Values,
        Need::Accumulated,
        Need::Window(1),
        Need::Window(32),
        Need::WindowRows(32),
        Need::WindowQueries(8),
        Need::QueryMoments(4),
        Need::Reconstruction,
        Need::OutputNorms,
        Need::SubNormOutputNorms,
        Need::Future,
        Need::Entropy,
        Need::ResidualSimilarity,
        Need::HeadScores,
        Need::HeadPattern,
    ])
}

/// Returns a random number between `least` and `least + scale`, or zero: zeros, and so ties, are common.
fn number(rng: &mut Rng, scale: f64, least: f64) -> f32 {
    let drawn = scale * rng.unit() + least;
    if rng.unit() < 0.15 { 0.0 } else { drawn as f32 }
}

/// Returns about two thirds of the positions, including the last.
fn two_thirds_of(tokens: usize, rng: &mut Rng) -> Vec<u32> {
    (0..tokens as u32).filter(|&p| p as usize + 1 == tokens || rng.unit() < 0.67).collect()
}
