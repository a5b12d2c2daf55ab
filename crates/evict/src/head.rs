use std::{borrow::Cow, collections::BTreeMap};

use crate::{Needs, Observation, Pooling};

/// What a scorer sees of one KV head: what it declared to need, the attention already
/// pooled over the head's group. The rest is empty.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The KV head, counted over all layers.
    pub index: usize,
    /// Cached tokens.
    pub tokens: usize,
    /// Length of one key.
    pub head_dim: usize,
    /// Keys after rotary embedding, `[tokens * head_dim]`.
    pub keys: &'a [f32],
    /// Attention summed over the prefill's queries, `[tokens]`.
    pub accumulated: Cow<'a, [f32]>,
    /// Mean attention of the last queries, by window length, each `[tokens]`.
    pub windows: BTreeMap<usize, Cow<'a, [f32]>>,
    /// Attention of queries yet to come, `[tokens]`.
    pub future: Cow<'a, [f32]>,
}

impl<'a> Head<'a> {
    /// KV head `index` of an observation that passed its check against `needs`.
    pub(crate) fn of(seen: &Observation<'a>, index: usize, needs: &Needs, pool: Pooling) -> Head<'a> {
        let group = seen.shape.group();
        let pooled = |rows: &[&'a [f32]]| pool.over(&rows[index * group..(index + 1) * group]);
        let when = |needed: bool, rows: &[&'a [f32]]| if needed { pooled(rows) } else { Cow::default() };
        Head {
            index,
            tokens: seen.shape.tokens,
            head_dim: seen.shape.head_dim,
            keys: if needs.keys { seen.keys[index] } else { &[] },
            accumulated: when(needs.accumulated, &seen.accumulated),
            windows: needs.windows.iter().map(|w| (*w, pooled(&seen.windows[w]))).collect(),
            future: when(needs.future, &seen.future),
        }
    }
}
