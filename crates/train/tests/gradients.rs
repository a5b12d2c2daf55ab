//! The fused operations against the same model in plain candle operations and candle's own autograd.

use bitkv_stats::Rng;
use bitkv_train::{
    model::{Batch, Model, Shape, Style},
    ops::Precision,
    recipe::Start,
};
use candle_core::{D, Device, Result, Tensor};

fn shape(style: Style, kv_heads: usize) -> Shape {
    Shape {
        style,
        vocabulary: 96,
        hidden: 64,
        intermediate: 96,
        layers: 2,
        query_heads: 4,
        kv_heads,
        head_dim: 32,
        rope_theta: 10_000,
        max_positions: 64,
    }
}

fn batch(sequences: usize, length: usize, vocabulary: usize) -> Batch {
    let mut rng = Rng::new(5);
    let mut draw = || rng.below(vocabulary) as u32;
    let tokens: Vec<u32> = (0..sequences * length).map(|_| draw()).collect();
    let targets = (0..sequences * length).map(|_| draw()).collect();
    Batch { length, tokens, targets }
}

fn rms(x: &Tensor, gain: &Tensor) -> Result<Tensor> {
    let mean = (x.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?;
    x.broadcast_div(&mean.sqrt()?)?.broadcast_mul(gain)
}

/// A straight-through BitLinear.
fn linear(x: &Tensor, w: &Tensor, precision: Precision) -> Result<Tensor> {
    if precision == Precision::Full {
        return x.matmul(&w.t()?);
    }
    let (xd, wd) = (x.detach(), w.detach());
    let s = (xd.abs()?.max_keepdim(D::Minus1)?.maximum(1e-5)?.recip()? * 127.0)?;
    let q = xd.broadcast_mul(&s)?.round()?.clamp(-128f32, 127f32)?.broadcast_div(&s)?;
    let mean = wd.abs()?.mean_all()?.to_scalar::<f32>()?.max(1e-5) as f64;
    let t = ((&wd / mean)?.round()?.clamp(-1f32, 1f32)? * mean)?;
    (x + (q - &xd)?.detach())?.matmul(&(w + (t - &wd)?.detach())?.t()?)
}

fn rope_tables(s: &Shape, length: usize) -> Result<(Tensor, Tensor)> {
    let half = s.head_dim / 2;
    let angle = |i: usize| {
        (i / half) as f64 / (s.rope_theta as f64).powf(2.0 * (i % half) as f64 / s.head_dim as f64)
    };
    let table = |f: fn(f64) -> f64| {
        let values: Vec<f32> = (0..length * half).map(|i| f(angle(i)) as f32).collect();
        Tensor::from_vec(values, (length, half), &Device::Cpu)
    };
    Ok((table(f64::cos)?, table(f64::sin)?))
}

fn plain_loss(model: &Model, batch: &Batch, precision: Precision) -> Result<Tensor> {
    let (s, t) = (&model.shape, batch.length);
    let b = batch.tokens.len() / t;
    let (cos, sin) = rope_tables(s, t)?;
    let mask: Vec<f32> = (0..t * t).map(|i| if i % t > i / t { f32::NEG_INFINITY } else { 0.0 }).collect();
    let mask = Tensor::from_vec(mask, (t, t), &Device::Cpu)?;
    let (queries, keys) = (s.query_heads * s.head_dim, s.kv_heads * s.head_dim);
    let heads = |x: Tensor, n: usize| x.reshape((b, t, n, s.head_dim))?.transpose(1, 2)?.contiguous();
    let repeat = |x: Tensor| {
        let group = s.query_heads / s.kv_heads;
        let x = x.unsqueeze(2)?.expand((b, s.kv_heads, group, t, s.head_dim))?;
        x.contiguous()?.reshape((b, s.query_heads, t, s.head_dim))
    };
    let ids = Tensor::from_slice(&batch.tokens, b * t, &Device::Cpu)?;
    let mut h = model.tensor(0).index_select(&ids, 0)?;
    for layer in 0..s.layers {
        let w = |part| model.part(layer, part);
        let a = rms(&h, w(0))?;
        let project = |from, rows| linear(&a, &w(1).narrow(0, from, rows)?, precision);
        let q = heads(project(0, queries)?, s.query_heads)?;
        let k = heads(project(queries, keys)?, s.kv_heads)?;
        let v = repeat(heads(project(queries + keys, keys)?, s.kv_heads)?)?;
        let q = candle_nn::rotary_emb::rope_slow(&q, &cos, &sin)?;
        let k = repeat(candle_nn::rotary_emb::rope_slow(&k, &cos, &sin)?)?;
        let scores = (q.matmul(&k.t()?)? / (s.head_dim as f64).sqrt())?.broadcast_add(&mask)?;
        let a = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
        let a = a.transpose(1, 2)?.reshape((b * t, queries))?;
        h = (h + linear(&rms(&a, w(2))?, w(3), precision)?)?;
        let m = rms(&h, w(4))?;
        let g = linear(&m, &w(5).narrow(0, 0, s.intermediate)?, precision)?;
        let u = linear(&m, &w(5).narrow(0, s.intermediate, s.intermediate)?, precision)?;
        let g = if s.style == Style::Large { candle_nn::ops::silu(&g)? } else { g.relu()?.sqr()? };
        h = (h + linear(&rms(&(g * u)?, w(6))?, w(7), precision)?)?;
    }
    let logits = rms(&h, model.tensor(model.parameters.len() - 1))?.matmul(&model.tensor(0).t()?)?;
    let targets = Tensor::from_slice(&batch.targets, b * t, &Device::Cpu)?;
    candle_nn::loss::cross_entropy(&logits, &targets)
}

fn cosine(a: &Tensor, b: &Tensor) -> Result<f64> {
    let dot = |a: &Tensor, b: &Tensor| {
        Ok::<f64, candle_core::Error>((a * b)?.sum_all()?.to_scalar::<f32>()? as f64)
    };
    Ok(dot(a, b)? / (dot(a, a)? * dot(b, b)?).sqrt())
}

/// Gradients pass through bf16 products (8 bits), so directions agree to about 1e-4.
fn compare(style: Style, kv_heads: usize, precision: Precision) -> Result<()> {
    let shape = shape(style, kv_heads);
    let model = Model::new(&shape, &Start { previous_token_heads: 1, amplitude: 5.0 }, 3)?;
    let batch = batch(2, 64, shape.vocabulary);
    let (loss, scores) = model.loss(&batch, precision, true)?;
    let plain = plain_loss(&model, &batch, precision)?;
    let (a, b) = (loss.to_scalar::<f32>()?, plain.to_scalar::<f32>()?);
    assert!((a - b).abs() < 2e-3, "loss {a} for {b}");
    assert!((scores.nll.iter().sum::<f32>() / scores.nll.len() as f32 - a).abs() < 1e-4);
    let (fused, expected) = (loss.backward()?, plain.backward()?);
    for p in &model.parameters {
        let (got, want) = (fused.get(&p.var).unwrap(), expected.get(&p.var).unwrap());
        let cos = cosine(got, want)?;
        let norms = (cosine_norm(got)?, cosine_norm(want)?);
        assert!(cos > 0.999, "{style:?} {precision:?}: gradient of {} has cosine {cos}", p.name);
        assert!((norms.0 / norms.1 - 1.0).abs() < 0.02, "{}: norm {} for {}", p.name, norms.0, norms.1);
    }
    Ok(())
}

fn cosine_norm(x: &Tensor) -> Result<f64> {
    Ok((x.sqr()?.sum_all()?.to_scalar::<f32>()? as f64).sqrt())
}

#[test]
fn multi_head_silu_model_matches_plain_autograd() -> Result<()> {
    compare(Style::Large, 4, Precision::Ternary)
}

#[test]
fn grouped_query_squared_relu_model_matches_plain_autograd() -> Result<()> {
    compare(Style::TwoB4T, 1, Precision::Ternary)
}

#[test]
fn unquantised_control_matches_plain_autograd() -> Result<()> {
    compare(Style::TwoB4T, 2, Precision::Full)
}
