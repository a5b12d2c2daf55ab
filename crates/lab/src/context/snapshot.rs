//! A prefilled context as bytes: the cache and the observation, as a safetensors file.
//!
//! - `keys` and `values`, F16 `[layers, kv_heads, tokens, head_dim]`: the cache, keys after rotary embedding.
//! - `row.0`, `row.1` ..., F32 `[heads, length]`: the observed rows. The metadata names the need of each.
//!   Observed keys and values are not stored if they are those of the cache; the metadata says so.
//! - `residual`, F64 `[layers]`: the residual similarity of every layer, if it was observed.

use std::collections::{BTreeMap, HashMap};

use bitkv_bitnet::{Cache, KvCache};
use bitkv_evict::{Need, Needs};
use bitkv_kernels::attention::Floats;
use bitkv_models::LoadedModel;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    observation::{Calibration, OwnedObservation},
    snapshots::{numbers, rows_from_tensor, rows_to_bytes},
};

/// The key of the metadata that names the needs of the rows, separated by blanks.
const NEEDS: &str = "needs";
/// What precedes the name of a need whose rows are those of the cache.
const IN_CACHE: &str = "cache:";

/// A tensor of a snapshot: its name, type, shape and bytes.
type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

/// Returns a cache and an observation as bytes; `None` if they are not those of a whole f16 context.
pub(super) fn encode(cache: &Cache, observation: &OwnedObservation) -> Option<Vec<u8>> {
    let shape = cache.shape();
    let extent = vec![shape.layers, shape.kv_heads, cache.tokens_seen(), shape.head_dim];
    let (keys, values) = cache_bytes(cache)?;
    let mut tensors: Vec<Stored> = vec![
        ("keys".into(), Dtype::F16, extent.clone(), keys),
        ("values".into(), Dtype::F16, extent, values),
    ];
    let mut names = Vec::new();
    for (need, rows) in observation.all_rows()? {
        if is_in_cache(need, cache, observation) && !rows.is_empty() {
            names.push(format!("{IN_CACHE}{}", name(need)));
            continue;
        }
        let (shape, bytes) = rows_to_bytes(rows)?;
        tensors.push((format!("row.{}", names.len()), Dtype::F32, shape.into(), bytes));
        names.push(name(need));
    }
    if let Some(residual) = observation.residual_similarity() {
        let bytes = residual.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push(("residual".into(), Dtype::F64, vec![residual.len()], bytes));
    }
    let metadata = HashMap::from([(NEEDS.to_owned(), names.join(" "))]);
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| Some((name, TensorView::new(*dtype, shape.clone(), bytes).ok()?)));
    safetensors::serialize(views.collect::<Option<Vec<_>>>()?, Some(metadata)).ok()
}

/// Returns the cache and the observation that [`encode`] made bytes of; `None` if the bytes do not fit the
/// model and the number of tokens. `needs` were observed.
pub(super) fn decode(
    bytes: &[u8],
    loaded: &LoadedModel,
    (seen, held): (usize, usize),
    needs: &Needs,
    calibration: &Calibration,
) -> Option<(Cache, OwnedObservation)> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let names = header.metadata().as_ref()?.get(NEEDS)?.clone();
    let cache = decode_cache(&file, loaded, held)?;
    let mut rows = BTreeMap::new();
    for (number, named) in names.split_whitespace().enumerate() {
        let (in_cache, named) = named.strip_prefix(IN_CACHE).map_or((false, named), |named| (true, named));
        let need = possible_needs(needs).find(|need| name(*need) == named)?;
        let found = match in_cache {
            true => rows_of_cache(need, &cache),
            false => rows_from_tensor(&file.tensor(&format!("row.{number}")).ok()?)?,
        };
        rows.insert(need, found);
    }
    let mut observation = OwnedObservation::whole(loaded, seen, calibration);
    rows.into_iter().for_each(|(need, rows)| observation.insert(need, rows));
    if let Ok(residual) = file.tensor("residual") {
        observation.set_residual_similarity(numbers(residual.data(), f64::from_le_bytes));
    }
    Some((cache, observation))
}

/// Returns the keys and the values of all heads as f16 bytes; `None` if they are stored otherwise, or if a
/// token is missing.
fn cache_bytes(cache: &Cache) -> Option<(Vec<u8>, Vec<u8>)> {
    let (shape, tokens) = (cache.shape(), cache.tokens_seen());
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for layer in 0..shape.layers {
        for head in 0..shape.kv_heads {
            let view = cache.view(layer, head);
            let (Floats::F16(key), Floats::F16(value)) = (view.keys, view.values) else { return None };
            if view.positions.len() != tokens {
                return None;
            }
            keys.extend_from_slice(bytemuck::cast_slice(key));
            values.extend_from_slice(bytemuck::cast_slice(value));
        }
    }
    Some((keys, values))
}

fn decode_cache(file: &SafeTensors<'_>, loaded: &LoadedModel, tokens: usize) -> Option<Cache> {
    let mut cache = loaded.model.new_cache();
    let shape = cache.shape();
    let extent = [shape.layers, shape.kv_heads, tokens, shape.head_dim];
    let (keys, values) = (file.tensor("keys").ok()?, file.tensor("values").ok()?);
    if keys.shape() != extent
        || values.shape() != extent
        || keys.dtype() != Dtype::F16
        || values.dtype() != Dtype::F16
    {
        return None;
    }
    cache.reserve(tokens);
    let layer_bytes = 2 * shape.kv_heads * tokens * shape.head_dim;
    for layer in 0..shape.layers {
        let part = |tensor: &TensorView<'_>| {
            let bytes = &tensor.data()[layer * layer_bytes..][..layer_bytes];
            let floats: Vec<f32> = numbers(bytes, |two| half::f16::from_le_bytes(two).to_f32());
            by_token(&floats, shape.kv_heads, tokens, shape.head_dim)
        };
        cache.append(layer, &part(&keys), &part(&values));
    }
    cache.advance(tokens);
    Some(cache)
}

/// Returns `[heads, tokens, width]` as `[tokens, heads, width]`.
fn by_token(floats: &[f32], heads: usize, tokens: usize, width: usize) -> Vec<f32> {
    let row = |token: usize, head: usize| &floats[(head * tokens + token) * width..][..width];
    (0..tokens).flat_map(|token| (0..heads).flat_map(move |head| row(token, head))).copied().collect()
}

/// Returns whether observed rows are the keys or values of the cache. A policy that sees tokens beyond the
/// context observes more of them than the cache holds.
fn is_in_cache(need: Need, cache: &Cache, observation: &OwnedObservation) -> bool {
    matches!(need, Need::Keys | Need::Values) && observation.shape().tokens == cache.tokens_seen()
}

/// Returns the keys or the values of every KV head as f32, `[layers * kv_heads][tokens * head_dim]`.
fn rows_of_cache(need: Need, cache: &Cache) -> Vec<Vec<f32>> {
    let shape = cache.shape();
    let heads = (0..shape.layers).flat_map(|layer| (0..shape.kv_heads).map(move |head| (layer, head)));
    heads
        .map(|(layer, head)| {
            let view = cache.view(layer, head);
            let floats = if need == Need::Keys { view.keys } else { view.values };
            floats.to_f32_vec()
        })
        .collect()
}

/// Returns the needs whose rows a snapshot can have, if `needs` were observed.
fn possible_needs(needs: &Needs) -> impl Iterator<Item = Need> + '_ {
    [Need::Keys, Need::Values, Need::Accumulated, Need::Window(1)].into_iter().chain(needs.iter())
}

/// Returns the name of a need in the metadata.
fn name(need: Need) -> String {
    format!("{need:?}")
}
