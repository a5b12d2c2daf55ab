//! The KV cache: one ragged buffer per layer and KV head, really smaller after eviction.

use bitkv_checkpoint::Config;
use bitkv_kernels::attention::Floats;
use half::{f16, slice::HalfFloatSliceExt};

use crate::{Error, Result};

/// The type that a cache holds keys and values in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Precision {
    /// IEEE half: what deployed caches hold.
    #[default]
    F16,
    /// Single: for comparing with references that round nothing.
    F32,
}

impl Precision {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Precision::F16 => 2,
            Precision::F32 => 4,
        }
    }
}

/// How many buffers a cache has and how wide they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheShape {
    /// Layers of the model.
    pub layers: usize,
    /// KV heads of a layer.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl CacheShape {
    /// The shape that a model needs.
    pub fn of(config: &Config) -> Self {
        CacheShape {
            layers: config.num_hidden_layers,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        }
    }
}

impl std::fmt::Display for CacheShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} layers x {} KV heads x width {}", self.layers, self.kv_heads, self.head_dim)
    }
}

/// What attention reads of one KV head.
#[derive(Clone, Copy, Debug)]
pub struct CacheView<'a> {
    /// Keys after RoPE at their original positions, `[tokens, head_dim]`.
    pub keys: Floats<'a>,
    /// Values, `[tokens, head_dim]`.
    pub values: Floats<'a>,
    /// Original positions, ascending.
    pub positions: &'a [u32],
    /// Which of them may be seen; `None` means all.
    pub mask: Option<&'a [bool]>,
}

/// A cache that a model can run on: the ragged [`Cache`], or the [`MaskedCache`](crate::MaskedCache) it is tested against.
pub trait KvCache: Send + Sync {
    /// Number and width of the buffers.
    fn shape(&self) -> CacheShape;

    /// Tokens processed so far, kept or not: the position of the next token.
    fn tokens_seen(&self) -> usize;

    /// Appends new tokens at positions `tokens_seen() ..` to all KV heads of a layer; `keys` and `values` are
    /// `[tokens, kv_heads, head_dim]`.
    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]);

    /// Counts tokens as seen, once all layers have them.
    fn advance(&mut self, tokens: usize);

    /// The buffers of one KV head.
    fn view(&self, layer: usize, head: usize) -> CacheView<'_>;

    /// Keeps, in every layer and KV head, only the tokens whose original positions `kept` returns, ascending.
    ///
    /// # Errors
    /// When a position is not in the cache or positions are not ascending; then nothing is changed.
    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()>;

    /// Keys of one KV head as f32, `[tokens, head_dim]`.
    fn keys_f32(&self, layer: usize, head: usize) -> Vec<f32> {
        self.view(layer, head).keys.to_f32_vec()
    }

    /// Values of one KV head as f32, `[tokens, head_dim]`.
    fn values_f32(&self, layer: usize, head: usize) -> Vec<f32> {
        self.view(layer, head).values.to_f32_vec()
    }
}

#[derive(Clone, Debug)]
enum Buffer {
    F16(Vec<f16>),
    F32(Vec<f32>),
}

impl Buffer {
    fn new(precision: Precision) -> Self {
        match precision {
            Precision::F16 => Buffer::F16(Vec::new()),
            Precision::F32 => Buffer::F32(Vec::new()),
        }
    }

    /// Appends `width` values from `at` on of each row of `stride`.
    fn extend(&mut self, rows: &[f32], stride: usize, at: usize, width: usize) {
        let parts = rows.chunks_exact(stride).map(|row| &row[at..][..width]);
        match self {
            Buffer::F16(to) => {
                let old = to.len();
                to.resize(old + rows.len() / stride * width, f16::ZERO);
                let to = to[old..].chunks_exact_mut(width);
                to.zip(parts).for_each(|(to, from)| to.convert_from_f32_slice(from));
            }
            Buffer::F32(to) => parts.for_each(|part| to.extend_from_slice(part)),
        }
    }

    fn view(&self) -> Floats<'_> {
        match self {
            Buffer::F16(values) => Floats::F16(values),
            Buffer::F32(values) => Floats::F32(values),
        }
    }

    /// The chosen rows in a new allocation: shrinking the old one might leave it as large as it was.
    fn gather(&self, rows: &[usize], width: usize) -> Buffer {
        match self {
            Buffer::F16(values) => Buffer::F16(gather(values, rows, width)),
            Buffer::F32(values) => Buffer::F32(gather(values, rows, width)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Buffer::F16(values) => size_of_val(&values[..]),
            Buffer::F32(values) => size_of_val(&values[..]),
        }
    }

    fn allocated_bytes(&self) -> usize {
        match self {
            Buffer::F16(values) => values.capacity() * size_of::<f16>(),
            Buffer::F32(values) => values.capacity() * size_of::<f32>(),
        }
    }
}

fn gather<T: Copy>(from: &[T], rows: &[usize], width: usize) -> Vec<T> {
    let mut kept = Vec::with_capacity(rows.len() * width);
    rows.iter().for_each(|row| kept.extend_from_slice(&from[row * width..][..width]));
    kept
}

#[derive(Clone, Debug)]
struct Head {
    keys: Buffer,
    values: Buffer,
    positions: Vec<u32>,
}

impl Head {
    fn new(precision: Precision) -> Self {
        Head { keys: Buffer::new(precision), values: Buffer::new(precision), positions: Vec::new() }
    }
}

/// A cache whose KV heads may hold different numbers of tokens. Cloning it lets one prefill serve many plans.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: CacheShape,
    heads: Vec<Head>,
    seen: usize,
}

impl Cache {
    /// An empty cache of half floats.
    pub fn new(shape: CacheShape) -> Self {
        Cache::with_precision(shape, Precision::default())
    }

    /// An empty cache.
    pub fn with_precision(shape: CacheShape, precision: Precision) -> Self {
        Cache { shape, heads: vec![Head::new(precision); shape.layers * shape.kv_heads], seen: 0 }
    }

    /// Bytes of the keys and values held: with half floats `4 * head_dim` per token, layer and KV head.
    pub fn bytes(&self) -> usize {
        self.heads.iter().map(|h| h.keys.bytes() + h.values.bytes()).sum()
    }

    /// Bytes allocated for keys, values and positions, including room to grow.
    pub fn allocated_bytes(&self) -> usize {
        let of = |h: &Head| {
            h.keys.allocated_bytes() + h.values.allocated_bytes() + h.positions.capacity() * size_of::<u32>()
        };
        self.heads.iter().map(of).sum()
    }

    /// Tokens held by one KV head.
    pub fn len(&self, layer: usize, head: usize) -> usize {
        self.head(layer, head).positions.len()
    }

    /// Whether no head holds anything.
    pub fn is_empty(&self) -> bool {
        self.heads.iter().all(|h| h.positions.is_empty())
    }

    fn head(&self, layer: usize, head: usize) -> &Head {
        &self.heads[layer * self.shape.kv_heads + head]
    }
}

impl Head {
    fn retain(&mut self, rows: &[usize], width: usize) {
        (self.keys, self.values) = (self.keys.gather(rows, width), self.values.gather(rows, width));
        self.positions = rows.iter().map(|row| self.positions[*row]).collect();
    }
}

impl KvCache for Cache {
    fn shape(&self) -> CacheShape {
        self.shape
    }

    fn tokens_seen(&self) -> usize {
        self.seen
    }

    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let CacheShape { kv_heads, head_dim, .. } = self.shape;
        let first = self.seen;
        for (i, head) in self.heads[layer * kv_heads..][..kv_heads].iter_mut().enumerate() {
            let stride = kv_heads * head_dim;
            let tokens = keys.len() / stride;
            head.keys.extend(keys, stride, i * head_dim, head_dim);
            head.values.extend(values, stride, i * head_dim, head_dim);
            head.positions.extend((first..first + tokens).map(|p| p as u32));
        }
    }

    fn advance(&mut self, tokens: usize) {
        self.seen += tokens;
    }

    fn view(&self, layer: usize, head: usize) -> CacheView<'_> {
        let head = self.head(layer, head);
        CacheView {
            keys: head.keys.view(),
            values: head.values.view(),
            positions: &head.positions,
            mask: None,
        }
    }

    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()> {
        let rows = kept_rows(self, kept)?;
        for (head, rows) in self.heads.iter_mut().zip(rows) {
            head.retain(&rows, self.shape.head_dim);
        }
        Ok(())
    }
}

/// For every layer and KV head the indices of the kept positions in its buffers.
pub(crate) fn kept_rows(
    cache: &dyn KvCache,
    kept: &dyn Fn(usize, usize) -> Vec<u32>,
) -> Result<Vec<Vec<usize>>> {
    let shape = cache.shape();
    let all = (0..shape.layers).flat_map(|layer| (0..shape.kv_heads).map(move |head| (layer, head)));
    all.map(|(layer, head)| {
        let view = cache.view(layer, head);
        let positions = kept(layer, head);
        if let Some(pair) = positions.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::NotAscending { layer, head, previous: pair[0], next: pair[1] });
        }
        let row = |&position: &u32| {
            let row = view.positions.binary_search(&position).ok();
            row.filter(|row| view.mask.is_none_or(|mask| mask[*row])).ok_or(Error::UnknownPosition {
                layer,
                head,
                position,
            })
        };
        positions.iter().map(row).collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: CacheShape = CacheShape { layers: 2, kv_heads: 2, head_dim: 2 };

    fn filled(tokens: usize) -> Cache {
        let mut cache = Cache::new(SHAPE);
        let numbers: Vec<f32> = (0..tokens * 4).map(|i| i as f32).collect();
        for layer in 0..2 {
            cache.append(layer, &numbers, &numbers);
        }
        cache.advance(tokens);
        cache
    }

    #[test]
    fn heads_get_their_own_columns() {
        let cache = filled(3);
        assert_eq!(cache.keys_f32(1, 0), [0.0, 1.0, 4.0, 5.0, 8.0, 9.0]);
        assert_eq!(cache.keys_f32(1, 1), [2.0, 3.0, 6.0, 7.0, 10.0, 11.0]);
    }

    #[test]
    fn keeping_frees_memory_and_remembers_positions() {
        let mut cache = filled(100);
        assert_eq!(cache.bytes(), 100 * 2 * 2 * 2 * 2 * 2);
        cache.keep(&|layer, head| if (layer, head) == (0, 1) { vec![7, 99] } else { vec![] }).unwrap();
        assert_eq!((cache.len(0, 1), cache.len(1, 1), cache.tokens_seen()), (2, 0, 100));
        assert_eq!((cache.bytes(), cache.allocated_bytes()), (2 * 8, 2 * 12));
        assert_eq!(cache.view(0, 1).positions, [7, 99]);
        assert_eq!(cache.keys_f32(0, 1), [30.0, 31.0, 398.0, 399.0]);
        cache.keep(&|_, head| if head == 1 { cache_positions() } else { vec![] }).unwrap_err();
    }

    fn cache_positions() -> Vec<u32> {
        vec![7]
    }

    #[test]
    fn bad_plans_change_nothing() {
        let mut cache = filled(5);
        let error = cache.keep(&|_, _| vec![1, 5]).unwrap_err().to_string();
        assert!(error.contains("position 5") && error.contains("layer 0, KV head 0"), "{error}");
        for plan in [vec![2, 2], vec![3, 1]] {
            assert!(matches!(cache.keep(&|_, _| plan.clone()), Err(Error::NotAscending { .. })));
        }
        let late = |layer, _| if layer == 1 { vec![9] } else { vec![0] };
        assert!(cache.keep(&late).is_err());
        assert_eq!(cache.len(0, 0), 5);
    }
}
