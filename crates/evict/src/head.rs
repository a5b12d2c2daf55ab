//! What a scorer sees of one head.

use std::borrow::Cow;

use crate::{Need, Observation, Pooling};

/// What a scorer sees of one KV head. What it did not declare to need may be missing.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The KV head, counted over all layers.
    pub index: usize,
    /// How the attention of the group's query heads is pooled.
    pub pool: Pooling,
    seen: &'a Observation<'a>,
}

impl<'a> Head<'a> {
    /// KV head `index` of an observation that passed its check.
    pub fn new(seen: &'a Observation<'a>, index: usize, pool: Pooling) -> Head<'a> {
        Head { index, pool, seen }
    }

    /// The whole observation, for what concerns the layer or the model.
    pub fn observation(&self) -> &'a Observation<'a> {
        self.seen
    }

    /// Its layer.
    pub fn layer(&self) -> usize {
        self.index / self.seen.shape.kv_heads
    }

    /// Tokens seen, whether this head holds them or not: the position of the next token.
    pub fn tokens_seen(&self) -> usize {
        self.seen.shape.tokens
    }

    /// Tokens that this head holds: the length of its rows.
    pub fn held(&self) -> usize {
        self.seen.held(self.index)
    }

    /// The positions that this head holds, ascending.
    pub fn positions(&self) -> Cow<'a, [u32]> {
        self.seen.held_positions(self.index)
    }

    /// Width of a key or a value.
    pub fn head_dim(&self) -> usize {
        self.seen.shape.head_dim
    }

    /// Keys after rotary embedding, `[held * head_dim]`.
    pub fn keys(&self) -> &'a [f32] {
        self.row(Need::Keys)
    }

    /// Values, `[held * head_dim]`.
    pub fn values(&self) -> &'a [f32] {
        self.row(Need::Values)
    }

    /// The row of a need that has one for each KV head; empty where it was not observed.
    pub fn row(&self, need: Need) -> &'a [f32] {
        self.seen.rows(need).get(self.index).copied().unwrap_or_default()
    }

    /// The rows of the group's query heads; none where the need was not observed.
    pub fn group(&self, need: Need) -> &'a [&'a [f32]] {
        let group = self.seen.shape.group();
        self.seen.rows(need).get(self.index * group..(self.index + 1) * group).unwrap_or_default()
    }

    /// The rows of the group's query heads pooled into one, as the policy's option `pool` says.
    pub fn pooled(&self, need: Need) -> Cow<'a, [f32]> {
        self.pool.over(self.group(need))
    }

    /// All KV heads of its layer, itself among them.
    pub fn of_layer(&self) -> impl Iterator<Item = Head<'a>> + use<'a> {
        let (head, heads) = (*self, self.seen.shape.kv_heads);
        (head.layer() * heads..(head.layer() + 1) * heads).map(move |index| Head { index, ..head })
    }

    /// The mean over all query heads of the layer of a need that has a number for each token, one
    /// for each token that this head holds. A token counts for the heads that hold it.
    pub fn layer_mean(&self, need: Need) -> Vec<f32> {
        let shape = self.seen.shape;
        let mut sums = vec![(0.0f64, 0u32); shape.tokens];
        for head in self.of_layer() {
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
