//! Gives a trained model the names and the configuration of a Hugging Face checkpoint, for export and for the
//! reference.

use std::collections::HashMap;

use bitkv_bitnet::{
    Activation, Architecture, Biases, Config, LinearShape, RopeScaling, WeightFormat,
    reference::{Reference, Rounding},
};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::{
    model::{EPS, Model, Shape, Style},
    ops::Precision,
    vocabulary::{BOS_ID, EOS_ID},
};

impl Shape {
    /// Returns the configuration of a checkpoint of full-precision master weights, which `bitkv-bitnet` and
    /// transformers read.
    pub fn config(&self) -> Config {
        let (architecture, hidden_act) = match self.style {
            Style::Large => (Architecture::OneBitLlm, Activation::Silu),
            Style::TwoB4T => (Architecture::BitNet, Activation::Relu2),
        };
        Config {
            architecture,
            vocab_size: self.vocabulary,
            hidden_size: self.hidden,
            intermediate_size: self.intermediate,
            num_hidden_layers: self.layers,
            num_attention_heads: self.query_heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            hidden_act,
            max_position_embeddings: self.max_positions,
            rms_norm_eps: EPS as f64,
            rope_theta: self.rope_theta as f64,
            rope_scaling: RopeScaling::Unscaled,
            biases: Biases::default(),
            tie_word_embeddings: true,
            bos_token_id: Some(BOS_ID),
            eos_token_ids: vec![EOS_ID],
            weights: WeightFormat::Masters,
            full_precision_layers: Vec::new(),
            plain_llama: false,
        }
    }
}

impl Model {
    /// Returns the master weights by their names in a Hugging Face checkpoint. Each tensor is a slice of a
    /// trained parameter, so gradients reach the parameter.
    ///
    /// # Errors
    /// Fails if candle cannot slice a parameter.
    pub fn named_tensors(&self) -> Result<HashMap<String, Tensor>> {
        let config = self.shape.config();
        let mut named = HashMap::from([
            ("model.embed_tokens.weight".to_owned(), self.tensor(0).clone()),
            (config.final_norm().name, self.tensor(self.parameters.len() - 1).clone()),
        ]);
        for layer in 0..config.num_hidden_layers {
            for (norm, part) in config.norms(layer).into_iter().zip([0, 2, 4, 6]) {
                named.insert(norm.name, self.layer_tensor(layer, part).clone());
            }
            let [q, k, v, o, gate, up, down] = config.linears(layer);
            for (part, stacked) in [(1, vec![q, k, v]), (3, vec![o]), (5, vec![gate, up]), (7, vec![down])] {
                let mut first = 0;
                for LinearShape { name, rows, .. } in stacked {
                    let weight = self.layer_tensor(layer, part).narrow(0, first, rows)?;
                    named.insert(format!("{name}.weight"), weight);
                    first += rows;
                }
            }
        }
        Ok(named)
    }

    /// Returns the same model in plain candle, with the same variables as weights. Tests compare the fused
    /// operations with it.
    ///
    /// # Errors
    /// Fails as [`Model::named_tensors`] does.
    pub fn reference(&self, precision: Precision) -> Result<Reference> {
        let rounding = match precision {
            Precision::Ternary => Rounding::Both,
            Precision::Full => Rounding::Nothing,
        };
        let vb = VarBuilder::from_tensors(self.named_tensors()?, DType::F32, &Device::Cpu);
        Reference::with_rounding(&self.shape.config(), &vb, rounding)
    }
}
