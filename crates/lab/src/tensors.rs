//! [`Tensors`] makes an observation from the queries, keys and values of any model, read from a safetensors
//! file.
//!
//! The file has these tensors for every layer, counted from 0:
//!
//! - `q.{layer} [query_heads, tokens, head_dim]`: queries after rotary embedding.
//! - `k.{layer} [kv_heads, tokens, head_dim]`: keys after rotary embedding.
//! - `v.{layer} [kv_heads, tokens, head_dim]`: values.
//! - `q_pre.{layer} [query_heads, tokens, head_dim]`: queries before rotary embedding.
//! - `o_proj.{layer} [hidden, query_heads * head_dim]`: the weight of the output projection.
//! - `attn_sub_norm.{layer} [query_heads * head_dim]`: the gain of the norm before the output projection, for
//!   models that have one.
//!
//! Only the tensors that a policy reads are required; `k.{layer}` always is. Types are F32, F16 or BF16.
//! Metadata: `rope_theta`, the base of the rotary frequencies (default 10000), and `rope_pairs`, which must
//! be `halves`. Attention is causal over the whole file, and its logits are divided by `sqrt(head_dim)`.

use std::{collections::BTreeMap, path::Path};

use bitkv_bitnet::output_norms::l1_norms;
use bitkv_evict::{Need, Needs, Shape};
use bitkv_kernels::attention::{Floats, Input, Statistics, Wanted, attend};
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, bail, ensure},
    observation::{Calibration, OwnedObservation},
};

/// The largest header of a file of tensors, in bytes.
const MOST_HEADER: u64 = 8 << 20;

/// Checks the header of a file before it is parsed, because a parser needs many times its size in memory.
fn check_header(bytes: &[u8]) -> std::result::Result<(), String> {
    let length = bytes.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length));
    if length > MOST_HEADER {
        return Err(format!(
            "its header has {length} bytes, and at most {MOST_HEADER} are read: write it again"
        ));
    }
    bytes.get(8..8 + length as usize).map_or(Ok(()), bitkv_bytes::check_values)
}

/// An opened file of tensors.
pub struct Tensors {
    name: String,
    bytes: Vec<u8>,
    shape: Shape,
    rope_theta: f64,
}

impl Tensors {
    /// Opens a file and finds the cache's shape from `k.{layer}` and from `q.0` or `q_pre.0`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, has no keys of a layer, or has an impossible shape.
    pub fn open(path: &Path) -> Result<Tensors> {
        let name = path.display().to_string();
        let bytes = bitkv_bytes::read_bytes(path, bitkv_bytes::limit::TENSORS)
            .refuse(Error::File, format!("cannot read the tensor file {name}"))?;
        if let Some(what) = bitkv_bytes::misplaced(&bytes, bitkv_bytes::Expected::Safetensors) {
            bail!(File, "the tensor file {name}: {what}");
        }
        check_header(&bytes).refuse(Error::File, format!("cannot read the tensor file {name}"))?;
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .refuse(Error::File, format!("{name} is not a safetensors file"))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let rope_theta = match metadata.get("rope_theta") {
            None => 10_000.0,
            Some(text) => text.parse().ok().filter(|theta: &f64| theta.is_finite() && *theta > 1.0).refuse(
                Error::File,
                format!(
                    "{name}: rope_theta = {text} is not a base of rotary frequencies: write a number above 1"
                ),
            )?,
        };
        if let Some(pairs) = metadata.get("rope_pairs").filter(|pairs| *pairs != "halves") {
            bail!(
                File,
                "{name}: rope_pairs = {pairs} is not supported: rotate channel i with i + head_dim / 2 (`halves`)"
            );
        }
        let mut tensors = Tensors { name, bytes, shape: EMPTY, rope_theta };
        tensors.shape = tensors.find_shape()?;
        Ok(tensors)
    }

    fn find_shape(&self) -> Result<Shape> {
        let file = self.parsed()?;
        let layers = (0..).take_while(|layer| file.tensor(&format!("k.{layer}")).is_ok()).count();
        ensure!(
            File,
            layers > 0,
            "{} has no tensor `k.0`: name the keys of layer 0, 1, ... `k.0`, `k.1`, ...",
            self.name
        );
        if let Some(beyond) = file.names().into_iter().filter(|name| layer_of(name) >= Some(layers)).min() {
            bail!(
                File,
                "{} has a tensor `{beyond}` but no `k.{layers}`: add the keys of every layer",
                self.name
            );
        }
        let key = file.tensor("k.0").refuse(Error::File, &self.name)?;
        let &[kv_heads, tokens, head_dim] = key.shape() else {
            bail!(File, "{}: `k.0` has shape {:?}, not [kv_heads, tokens, head_dim]", self.name, key.shape())
        };
        ensure!(
            File,
            head_dim > 0,
            "{}: `k.0` has a head_dim of 0: save keys of at least one channel",
            self.name
        );
        let query = ["q.0", "q_pre.0"].iter().find_map(|name| file.tensor(name).ok());
        let query_heads = query.map_or(kv_heads, |query| query.shape().first().copied().unwrap_or(0));
        let shape = Shape { layers, query_heads, kv_heads, tokens, head_dim };
        shape.check().at(format!("{} holds an impossible cache", self.name))?;
        Ok(shape)
    }

    fn parsed(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes)
            .refuse(Error::File, format!("{} is not a safetensors file", self.name))
    }

    /// Returns the shape of the cache.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the observation for policies with these needs.
    ///
    /// # Errors
    /// Returns an error if a tensor that is needed is missing, has another shape or type, or holds a value
    /// that is not finite.
    pub fn observation(&self, needs: &Needs, calibration: Calibration) -> Result<OwnedObservation> {
        let mut observation =
            OwnedObservation::new(self.shape, self.rope_theta).with_calibration(calibration);
        let mut all = Rows::new();
        for layer in 0..self.shape.layers {
            for (need, rows) in self.layer_rows(layer, needs)? {
                all.entry(need).or_default().extend(rows);
            }
        }
        for (need, rows) in all.into_iter().filter(|(need, _)| needs.contains(*need)) {
            observation.insert(need, rows);
        }
        Ok(observation)
    }

    /// Returns the rows of one layer for each need.
    fn layer_rows(&self, layer: usize, needs: &Needs) -> Result<Rows> {
        let Shape { query_heads, kv_heads, tokens, head_dim, .. } = self.shape;
        let kv = [kv_heads, tokens, head_dim];
        let (needs_attention, wanted) = wanted_statistics(needs, tokens);
        let mut rows = Rows::new();
        let keys = self.read(&format!("k.{layer}"), &kv)?;
        if needs_attention {
            let queries = self.read(&format!("q.{layer}"), &[query_heads, tokens, head_dim])?;
            rows.extend(attention(self.shape, &queries, &keys, needs, &wanted));
        }
        if needs.contains(Need::Keys) {
            rows.insert(Need::Keys, split(&keys, kv_heads));
        }
        let norms = [(Need::OutputNorms, false), (Need::SubNormOutputNorms, true)];
        if needs.contains(Need::Values) || norms.iter().any(|(need, _)| needs.contains(*need)) {
            let values = split(&self.read(&format!("v.{layer}"), &kv)?, kv_heads);
            for (need, sub_norm) in norms.into_iter().filter(|(need, _)| needs.contains(*need)) {
                rows.insert(need, self.output_norms(layer, &values, sub_norm)?);
            }
            rows.insert(Need::Values, values);
        }
        for need in needs.iter() {
            if let Need::WindowQueries(window) = need {
                let queries = self.read(&format!("q.{layer}"), &[query_heads, tokens, head_dim])?;
                let first = tokens.saturating_sub(window) * head_dim;
                let heads = split(&queries, query_heads);
                rows.insert(need, heads.iter().map(|queries| queries[first..].to_vec()).collect());
            }
            if let Need::QueryMoments(skipped) = need {
                let queries = self.read(&format!("q_pre.{layer}"), &[query_heads, tokens, head_dim])?;
                let heads = split(&queries, query_heads);
                rows.insert(need, heads.par_iter().map(|q| moments(q, head_dim, skipped)).collect());
            }
        }
        Ok(rows)
    }

    /// Returns the norm `||W_o^h v_j||_1` of each token for each query head, `[query_heads][tokens]`. If
    /// `sub_norm` is true, the weight is multiplied by the gain of the norm before the output projection.
    fn output_norms(&self, layer: usize, values: &[Vec<f32>], sub_norm: bool) -> Result<Vec<Vec<f32>>> {
        let Shape { query_heads, head_dim, .. } = self.shape;
        let name = format!("o_proj.{layer}");
        let width = query_heads * head_dim;
        let hidden = self.parsed()?.tensor(&name).ok().and_then(|t| t.shape().first().copied());
        let hidden = hidden.refuse(
            Error::File,
            format!(
                "{} has no tensor `{name}`, which the policy needs: add it with shape [hidden, {width}]",
                self.name
            ),
        )?;
        ensure!(File, hidden > 0, "{}: `{name}` has no rows: save the output projection's weight", self.name);
        let weights = self.read(&name, &[hidden, width])?;
        let gain = if sub_norm { self.gain(layer, width)? } else { vec![1.0; width] };
        let head_norms = |head: usize| {
            let columns = head * head_dim..(head + 1) * head_dim;
            let write = |row: usize, out: &mut [f32]| {
                let weights = &weights[row * width..][columns.clone()];
                out.iter_mut().zip(weights).zip(&gain[columns.clone()]).for_each(|((o, w), g)| *o = w * g);
            };
            l1_norms(&values[head / self.shape.group()], head_dim, hidden, &write)
        };
        Ok((0..query_heads).map(head_norms).collect())
    }

    /// Returns the gain of the norm before the output projection, `[width]`.
    ///
    /// # Errors
    /// Returns an error if the file does not have it. A model without this norm does not have one.
    fn gain(&self, layer: usize, width: usize) -> Result<Vec<f32>> {
        let name = format!("attn_sub_norm.{layer}");
        ensure!(
            File,
            self.parsed()?.tensor(&name).is_ok(),
            "{} has no tensor `{name}`: add the norm's gain with shape [{width}], or plan a model without one with norm='plain'",
            self.name
        );
        self.read(&name, &[width])
    }

    /// Reads a tensor as f32 values.
    fn read(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let file = self.parsed()?;
        let view = file.tensor(tensor).ok().refuse(
            Error::File,
            format!(
                "{} has no tensor `{tensor}`, which the policy needs: add it with shape {shape:?}",
                self.name
            ),
        )?;
        ensure!(
            File,
            view.shape() == shape,
            "{}: `{tensor}` has shape {:?}, and the expected shape is {shape:?}: check its layout",
            self.name,
            view.shape()
        );
        let numbers = floats(&view).refuse(
            Error::File,
            format!("{}: `{tensor}` is of type {:?}: save it as F32, F16 or BF16", self.name, view.dtype()),
        )?;
        match numbers.iter().position(|x| !x.is_finite()) {
            Some(at) => {
                bail!(
                    File,
                    "{}: `{tensor}` holds {} at index {at}: it must be finite",
                    self.name,
                    numbers[at]
                )
            }
            None => Ok(numbers),
        }
    }
}

/// Returns the layer that a tensor of this format belongs to; `None` for other tensors.
fn layer_of(tensor: &str) -> Option<usize> {
    let (name, layer) = tensor.split_once('.')?;
    let known = ["q_pre", "q", "k", "v", "o_proj", "attn_sub_norm"].contains(&name);
    layer.parse().ok().filter(|_| known)
}

const EMPTY: Shape = Shape { layers: 0, query_heads: 0, kv_heads: 0, tokens: 0, head_dim: 0 };

/// The rows of each need, head by head.
type Rows = BTreeMap<Need, Vec<Vec<f32>>>;

/// Returns the values of a tensor as f32; `None` if its type is not F32, F16 or BF16.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn wide<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (numbers, _) = bytes.as_chunks::<N>();
        numbers.iter().map(|bytes| read(*bytes)).collect()
    }
    match view.dtype() {
        Dtype::F32 => Some(wide(view.data(), f32::from_le_bytes)),
        Dtype::F16 => Some(wide(view.data(), |bytes| f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Some(wide(view.data(), |bytes| bf16::from_le_bytes(bytes).to_f32())),
        _ => None,
    }
}

/// Splits values into `heads` rows of equal length.
fn split(numbers: &[f32], heads: usize) -> Vec<Vec<f32>> {
    numbers.chunks_exact(numbers.len() / heads).map(<[f32]>::to_vec).collect()
}

/// Returns whether attention is needed at all, and the statistics of it that are needed.
fn wanted_statistics(needs: &Needs, tokens: usize) -> (bool, Wanted) {
    let start = |window: usize| tokens.saturating_sub(window);
    let (mut windows, mut rows) = (Vec::new(), Vec::new());
    for need in needs.iter() {
        match need {
            Need::Window(window) => windows.push(start(window)),
            Need::WindowRows(window) => rows.push(start(window)),
            _ => {}
        }
    }
    let wanted =
        Wanted { accumulated: needs.contains(Need::Accumulated), windows, rows, ..Wanted::default() };
    (wanted != Wanted::default(), wanted)
}

/// Returns the attention rows of one layer, from `queries [query_heads, tokens, head_dim]` and
/// `keys [kv_heads, tokens, head_dim]`.
fn attention(shape: Shape, queries: &[f32], keys: &[f32], needs: &Needs, wanted: &Wanted) -> Rows {
    let group_statistics = |kv: usize| group_attention(shape, queries, keys, kv, wanted);
    let heads: Vec<Statistics> = (0..shape.kv_heads).into_par_iter().map(group_statistics).collect();
    let rows = |sums: &[f64], factor: f64| -> Vec<Vec<f32>> {
        sums.chunks_exact(shape.tokens).map(|row| row.iter().map(|s| (s * factor) as f32).collect()).collect()
    };
    let mut found = Rows::new();
    let (mut window, mut single) = (0, 0);
    for need in needs.iter() {
        let all_heads = |rows: &dyn Fn(&Statistics) -> Vec<Vec<f32>>| heads.iter().flat_map(rows).collect();
        match need {
            Need::Accumulated => {
                found.insert(need, all_heads(&|s| rows(&s.accumulated, 1.0)));
            }
            Need::Window(length) => {
                let factor = 1.0 / length.min(shape.tokens) as f64;
                found.insert(need, all_heads(&|s| rows(&s.windows[window].1, factor)));
                window += 1;
            }
            Need::WindowRows(_) => {
                found.insert(need, all_heads(&|s| split(&s.rows[single].probabilities, shape.group())));
                single += 1;
            }
            _ => {}
        }
    }
    found
}

/// Returns the attention statistics of the query heads that share KV head `kv`.
fn group_attention(shape: Shape, queries: &[f32], keys: &[f32], kv: usize, wanted: &Wanted) -> Statistics {
    let Shape { tokens, head_dim, .. } = shape;
    let group = shape.group();
    let head = |q: usize| &queries[(kv * group + q) * tokens * head_dim..][..tokens * head_dim];
    // The kernel reads queries as [tokens, group, head_dim].
    let token_queries = |t: usize| (0..group).flat_map(move |q| &head(q)[t * head_dim..][..head_dim]);
    let queries: Vec<f32> = (0..tokens).flat_map(token_queries).copied().collect();
    let keys = &keys[kv * tokens * head_dim..][..tokens * head_dim];
    let input = Input {
        queries: &queries,
        keys: Floats::F32(keys),
        values: Floats::F32(keys),
        group,
        head_dim,
        offset: 0,
        mask: None,
        scale: 1.0 / (head_dim as f32).sqrt(),
    };
    let mut statistics = Statistics::new(group, tokens, tokens, wanted);
    attend(&input, &mut vec![0.0; queries.len()], Some(&mut statistics));
    statistics
}

/// Returns the mean of `queries [tokens, width]`, followed by their biased covariance. The first `skipped`
/// queries are left out, unless none would be left.
fn moments(queries: &[f32], width: usize, skipped: usize) -> Vec<f32> {
    let rows =
        queries.get(skipped.saturating_mul(width)..).filter(|rest| !rest.is_empty()).unwrap_or(queries);
    let count = (rows.len() / width) as f64;
    let mut mean = vec![0.0f64; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(m, q)| *m += f64::from(*q) / count);
    }
    let mut covariance = vec![0.0f64; width * width];
    let mut centred = vec![0.0f64; width];
    for row in rows.chunks_exact(width) {
        centred.iter_mut().zip(row).zip(&mean).for_each(|((c, q), m)| *c = f64::from(*q) - m);
        for (line, a) in covariance.chunks_exact_mut(width).zip(&centred) {
            line.iter_mut().zip(&centred).for_each(|(sum, b)| *sum += a * b / count);
        }
    }
    mean.into_iter().chain(covariance).map(|x| x as f32).collect()
}
