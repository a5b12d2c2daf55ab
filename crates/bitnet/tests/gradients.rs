//! Gradients of the reference reach every weight and equal the slopes of the loss.

mod common;

use bitkv_bitnet::{
    Config,
    reference::{Reference, Rounding, tensors},
};
use candle_core::{DType, Device, Module as _, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap, loss::cross_entropy};
use common::golden::Golden;

const CPU: Device = Device::Cpu;
/// The number of tokens that a loss is computed from.
const TOKENS: usize = 16;

/// The reference of a fixture, with its weights as variables under their names.
struct Trained {
    reference: Reference,
    variables: Vec<(String, Var)>,
    tokens: Vec<u32>,
}

impl Trained {
    fn new(golden: &Golden, dtype: DType, rounding: impl Fn(&Config) -> Rounding) -> Trained {
        let tied = golden.checkpoint.is_tied();
        let config = &Config { tie_word_embeddings: tied, ..golden.checkpoint.config().clone() };
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, dtype, &CPU);
        let reference = Reference::with_rounding(config, &vb, rounding(config)).unwrap();
        let mut variables: Vec<(String, Var)> =
            map.data().lock().unwrap().iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let values = tensors(&golden.checkpoint, &CPU).unwrap();
        for (name, var) in &variables {
            var.set(&values[name].to_dtype(dtype).unwrap()).unwrap();
        }
        let tokens = golden.tokens("tokens", "").into_iter().take(TOKENS).collect();
        Trained { reference, variables, tokens }
    }

    /// Returns the mean cross-entropy of every next token.
    fn loss(&self) -> Result<Tensor> {
        let last = self.tokens.len() - 1;
        let logits = self.reference.forward(&Tensor::new(&self.tokens[..last], &CPU)?)?;
        cross_entropy(&logits, &Tensor::new(&self.tokens[1..], &CPU)?)
    }
}

#[test]
fn gradients_reach_the_embedding_and_every_weight() {
    for golden in Golden::all() {
        let trained = Trained::new(&golden, DType::F32, Rounding::new);
        let config = golden.checkpoint.config();
        let expected = config.all_linears().count() + config.all_norms().count() + 1;
        let untied = usize::from(!golden.checkpoint.is_tied());
        assert_eq!(trained.variables.len(), expected + untied, "{}", golden.name);
        let gradients = trained.loss().unwrap().backward().unwrap();
        for (name, var) in &trained.variables {
            let gradient =
                gradients.get(var).unwrap_or_else(|| panic!("{}: {name} has no gradient", golden.name));
            let values: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            assert!(values.iter().all(|g| g.is_finite()), "{}: {name}", golden.name);
            assert!(values.iter().any(|g| *g != 0.0), "{}: the gradient of {name} is 0", golden.name);
        }
    }
}

/// Without rounding the loss is smooth, so its slope in any direction follows from the gradients. This test
/// uses f64.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for name in ["master-2b-style", "master-1bitllm-style", "master-llama-tied", "packed-falcon-style"] {
        let trained = Trained::new(&Golden::named(name), DType::F64, |_| Rounding::Nothing);
        let gradients = trained.loss().unwrap().backward().unwrap();
        let mut random = common::Random(7);
        for (weight, var) in &trained.variables {
            let direction: Vec<f64> = (0..var.elem_count()).map(|_| f64::from(random.uniform())).collect();
            let direction = Tensor::from_vec(direction, var.shape(), &CPU).unwrap();
            let slope = slope(&trained, var, &direction).unwrap();
            let expected = (gradients.get(var).unwrap() * &direction).unwrap().sum_all().unwrap();
            let expected = expected.to_scalar::<f64>().unwrap();
            let error = (slope - expected).abs();
            assert!(error < 1e-5 * expected.abs() + 1e-8, "{name}: {weight} has {slope}, not {expected}");
        }
    }
}

/// Returns the slope of the loss in a direction, by central differences.
fn slope(trained: &Trained, var: &Var, direction: &Tensor) -> Result<f64> {
    let (step, start) = (1e-6, var.as_tensor().copy()?);
    let loss_at = |step: f64| {
        var.set(&(&start + (direction * step)?)?)?;
        trained.loss()?.to_scalar::<f64>()
    };
    let slope = (loss_at(step)? - loss_at(-step)?) / (2.0 * step);
    var.set(&start)?;
    Ok(slope)
}
