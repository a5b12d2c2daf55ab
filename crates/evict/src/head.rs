//! The view that a scorer has of one KV head.

use std::borrow::Cow;

use crate::{Need, Observation, Pooling};

/// The view that a scorer has of one KV head and of its group of query heads. Observations that the scorer
/// did not declare in its needs may be missing.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The index of the KV head, counted over all layers.
    pub index: usize,
    /// How the rows of the group's query heads are pooled: the option `pool` of the policy.
    pub pool: Pooling,
    observation: &'a Observation<'a>,
}

impl<'a> Head<'a> {
    /// Returns a view of KV head `index`, counted over all layers, of an observation that passed its check.
    pub fn new(observation: &'a Observation<'a>, index: usize, pool: Pooling) -> Head<'a> {
        Head { index, pool, observation }
    }

    /// Returns the whole observation, for scores that depend on the layer or the model.
    pub fn observation(&self) -> &'a Observation<'a> {
        self.observation
    }

    /// Returns the index of the head's layer.
    pub fn layer(&self) -> usize {
        self.index / self.observation.shape.kv_heads
    }

    /// Returns the number of tokens seen, whether this head still holds them or not. It is the position of
    /// the next token.
    pub fn tokens_seen(&self) -> usize {
        self.observation.shape.tokens
    }

    /// Returns the number of tokens that this head holds, which is the length of its rows.
    pub fn held(&self) -> usize {
        self.observation.held(self.index)
    }

    /// Returns the positions of the tokens that this head holds, ascending, `[held]`.
    pub fn positions(&self) -> Cow<'a, [u32]> {
        self.observation.held_positions(self.index)
    }

    /// Returns the number of channels of a key or a value.
    pub fn head_dim(&self) -> usize {
        self.observation.shape.head_dim
    }

    /// Returns the keys after rotary embedding, `[held * head_dim]`.
    pub fn keys(&self) -> &'a [f32] {
        self.row(Need::Keys)
    }

    /// Returns the values, `[held * head_dim]`.
    pub fn values(&self) -> &'a [f32] {
        self.row(Need::Values)
    }

    /// Returns this head's row of a need that has one row for each KV head. The row is empty if the need was
    /// not observed.
    pub fn row(&self, need: Need) -> &'a [f32] {
        self.observation.rows(need).get(self.index).copied().unwrap_or_default()
    }

    /// Returns the rows of a need for the group's query heads, `[group][held]` for needs with one number per
    /// token. The result is empty if the need was not observed.
    pub fn group(&self, need: Need) -> &'a [&'a [f32]] {
        let group = self.observation.shape.group();
        self.observation.rows(need).get(self.index * group..(self.index + 1) * group).unwrap_or_default()
    }

    /// Returns the rows of a need pooled over the group's query heads, as the option `pool` of the policy
    /// says, `[held]`.
    pub fn pooled(&self, need: Need) -> Cow<'a, [f32]> {
        self.pool.pool(self.group(need))
    }

    /// Returns all KV heads of the layer, including this one.
    pub fn layer_heads(&self) -> impl Iterator<Item = Head<'a>> + use<'a> {
        let (head, heads) = (*self, self.observation.shape.kv_heads);
        (head.layer() * heads..(head.layer() + 1) * heads).map(move |index| Head { index, ..head })
    }

    /// Returns the mean of a need over all query heads of the layer, for each token that this head holds,
    /// `[held]`. The need must have one number per token. Heads that do not hold a token are left out of its
    /// mean.
    pub fn layer_mean(&self, need: Need) -> Vec<f32> {
        let shape = self.observation.shape;
        let mut sums = vec![(0.0f64, 0u32); shape.tokens];
        for head in self.layer_heads() {
            let positions = head.positions();
            for row in head.group(need) {
                for (&position, &p) in positions.iter().zip(*row) {
                    let (sum, heads) = &mut sums[position as usize];
                    (*sum, *heads) = (*sum + f64::from(p), *heads + 1);
                }
            }
        }
        let mean = |&position: &u32| {
            let (sum, heads) = sums[position as usize];
            (sum / f64::from(heads.max(1))) as f32
        };
        self.positions().iter().map(mean).collect()
    }
}
