//! Compares the fused operations with the reference of `bitkv-bitnet`, which has plain candle operations and
//! candle's autograd.

use bitkv_stats::Rng;
use bitkv_train::{
    model::{Batch, Model, Shape, Style},
    ops::Precision,
    recipe::WeightInit,
};
use candle_core::{Device, Module as _, Result, Tensor};

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

/// Returns the mean loss over the targets of a batch, computed by the reference, one sequence after another.
fn plain_loss(model: &Model, batch: &Batch, precision: Precision) -> Result<Tensor> {
    let reference = model.reference(precision)?;
    let logits = |tokens: &[u32]| reference.forward(&Tensor::new(tokens, &Device::Cpu)?);
    let logits: Vec<Tensor> = batch.tokens.chunks(batch.length).map(logits).collect::<Result<_>>()?;
    let targets = Tensor::new(batch.targets.as_slice(), &Device::Cpu)?;
    candle_nn::loss::cross_entropy(&Tensor::cat(&logits, 0)?, &targets)
}

fn cosine(a: &Tensor, b: &Tensor) -> Result<f64> {
    let dot = |a: &Tensor, b: &Tensor| {
        Ok::<f64, candle_core::Error>((a * b)?.sum_all()?.to_scalar::<f32>()? as f64)
    };
    Ok(dot(a, b)? / (dot(a, a)? * dot(b, b)?).sqrt())
}

/// Compares the gradients of all parameters. The products of the fused operations round to bf16 (8 bits), so
/// directions agree to about 1e-4.
fn compare_gradients(style: Style, kv_heads: usize, precision: Precision) -> Result<()> {
    let shape = shape(style, kv_heads);
    let model = Model::new(&shape, &WeightInit { previous_token_heads: 1, amplitude: 5.0 }, 3)?;
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
        let norms = (norm(got)?, norm(want)?);
        assert!(cos > 0.999, "{style:?} {precision:?}: gradient of {} has cosine {cos}", p.name);
        assert!((norms.0 / norms.1 - 1.0).abs() < 0.02, "{}: norm {} for {}", p.name, norms.0, norms.1);
    }
    Ok(())
}

fn norm(x: &Tensor) -> Result<f64> {
    Ok((x.sqr()?.sum_all()?.to_scalar::<f32>()? as f64).sqrt())
}

#[test]
fn multi_head_silu_model_matches_plain_autograd() -> Result<()> {
    compare_gradients(Style::Large, 4, Precision::Ternary)
}

#[test]
fn grouped_query_squared_relu_model_matches_plain_autograd() -> Result<()> {
    compare_gradients(Style::TwoB4T, 1, Precision::Ternary)
}

#[test]
fn unquantised_control_matches_plain_autograd() -> Result<()> {
    compare_gradients(Style::TwoB4T, 2, Precision::Full)
}
