//! Computes the observation of a fixture from its tensors, directly in `f64`.

use std::{collections::BTreeMap, path::Path};

use bitkv_evict::{Need, Needs, Observation, Shape};
use half::f16;
use safetensors::{Dtype, SafeTensors};

/// The tensors of a file as `testdata/README.md` describes it.
pub(crate) struct Tensors {
    pub(crate) shape: Shape,
    rope_theta: f64,
    tensors: BTreeMap<String, Vec<f64>>,
}

/// The rows of each need that the tensors of a fixture determine.
pub(crate) type Rows = BTreeMap<Need, Vec<Vec<f32>>>;

impl Tensors {
    pub(crate) fn read(file: &Path) -> Tensors {
        let bytes = std::fs::read(file).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let rope_theta = header.metadata().as_ref().unwrap()["rope_theta"].parse().unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let extent = |name: &str| file.tensor(name).unwrap().shape().to_vec();
        let (q, k) = (extent("q.0"), extent("k.0"));
        let layers = file.names().iter().filter(|name| name.starts_with("k.")).count();
        let shape = Shape { layers, query_heads: q[0], kv_heads: k[0], tokens: k[1], head_dim: k[2] };
        let number = |dtype, bytes: &[u8]| match dtype {
            Dtype::F16 => f16::from_le_bytes(bytes.try_into().unwrap()).to_f64(),
            _ => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
        };
        let numbers = |name: &str| {
            let tensor = file.tensor(name).unwrap();
            let width = tensor.dtype().bitsize() / 8;
            let numbers = tensor.data().chunks(width).map(|bytes| number(tensor.dtype(), bytes));
            (name.to_owned(), numbers.collect())
        };
        Tensors { shape, rope_theta, tensors: file.names().iter().map(|n| numbers(n)).collect() }
    }

    /// Returns the rows of every need of `needs`.
    pub(crate) fn observe(&self, needs: &Needs) -> Rows {
        needs.iter().map(|need| (need, self.rows(need))).collect()
    }

    pub(crate) fn view<'a>(&self, rows: &'a Rows) -> Observation<'a> {
        let mut seen = Observation::new(self.shape);
        seen.rope_theta = Some(self.rope_theta);
        rows.iter().fold(seen, |seen, (&need, rows)| seen.with_rows(need, rows))
    }

    fn rows(&self, need: Need) -> Vec<Vec<f32>> {
        let Shape { layers, query_heads, kv_heads, tokens, .. } = self.shape;
        let each = |heads: usize, row: &dyn Fn(usize, usize) -> Vec<f64>| {
            let rows = (0..layers * heads).map(|i| row(i / heads, i % heads));
            rows.map(|row| row.into_iter().map(|x| x as f32).collect()).collect()
        };
        match need {
            Need::Keys => each(kv_heads, &|layer, head| self.head("k", layer, head, tokens)),
            Need::Values => each(kv_heads, &|layer, head| self.head("v", layer, head, tokens)),
            Need::Accumulated => each(query_heads, &|layer, head| {
                self.attention(layer, head, tokens).into_iter().map(|mean| mean * tokens as f64).collect()
            }),
            Need::Window(window) => each(query_heads, &|layer, head| self.attention(layer, head, window)),
            Need::QueryMoments(skipped) => {
                each(query_heads, &|layer, head| self.moments(layer, head, skipped))
            }
            Need::OutputNorms => each(query_heads, &|layer, head| self.output_norms(layer, head)),
            other => panic!("{} cannot be computed from a fixture", other.name()),
        }
    }

    /// Returns the rows of one head in the tensor `name.{layer}`, `[tokens * head_dim]`.
    fn head(&self, name: &str, layer: usize, head: usize, tokens: usize) -> Vec<f64> {
        let length = tokens * self.shape.head_dim;
        self.tensors[&format!("{name}.{layer}")][head * length..][..length].to_vec()
    }

    fn kv_head(&self, query_head: usize) -> usize {
        query_head / self.shape.group()
    }

    /// Returns the mean causal attention of the last `window` queries, `[tokens]`.
    fn attention(&self, layer: usize, head: usize, window: usize) -> Vec<f64> {
        let (tokens, dim) = (self.shape.tokens, self.shape.head_dim);
        let queries = self.head("q", layer, head, tokens);
        let keys = self.head("k", layer, self.kv_head(head), tokens);
        let window = window.min(tokens);
        let mut mean = vec![0.0; tokens];
        for at in tokens - window..tokens {
            let query = &queries[at * dim..][..dim];
            let logit = |key: &[f64]| dot(query, key) / (dim as f64).sqrt();
            let logits: Vec<f64> = keys.chunks(dim).take(at + 1).map(logit).collect();
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            mean.iter_mut().zip(weights).for_each(|(m, weight)| *m += weight / sum / window as f64);
        }
        mean
    }

    /// Returns the mean and then the biased covariance of the queries before rotary embedding, without the
    /// first `skipped`.
    fn moments(&self, layer: usize, head: usize, skipped: usize) -> Vec<f64> {
        let (tokens, dim) = (self.shape.tokens, self.shape.head_dim);
        let queries = self.head("q_pre", layer, head, tokens);
        let queries: Vec<&[f64]> = queries.chunks(dim).skip(skipped).collect();
        let count = queries.len() as f64;
        let mean = |i: usize| queries.iter().map(|q| q[i]).sum::<f64>() / count;
        let mut moments: Vec<f64> = (0..dim).map(mean).collect();
        for i in 0..dim {
            for j in 0..dim {
                let product = |q: &&[f64]| (q[i] - moments[i]) * (q[j] - moments[j]);
                moments.push(queries.iter().map(product).sum::<f64>() / count);
            }
        }
        moments
    }

    /// `||W_o^h v_j||_1` of each token, `[tokens]`.
    fn output_norms(&self, layer: usize, head: usize) -> Vec<f64> {
        let Shape { tokens, head_dim: dim, query_heads, .. } = self.shape;
        let weight = &self.tensors[&format!("o_proj.{layer}")];
        let slices = || weight.chunks(query_heads * dim).map(|row| &row[head * dim..][..dim]);
        let norm = |value: &[f64]| slices().map(|slice| dot(slice, value).abs()).sum();
        self.head("v", layer, self.kv_head(head), tokens).chunks(dim).map(norm).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
