//! Finds the tensors of a checkpoint that no rule reads.

use std::collections::HashSet;

use crate::{
    Checkpoint, Config, Error, Result,
    gguf::names::to_gguf,
    shapes::{EMBEDDING, LM_HEAD},
};

/// Parts of names of tensors that change what a layer computes.
const SUSPICIOUS: [&str; 18] = [
    "norm",
    "_ln",
    "lora_",
    "expert",
    "_exps",
    "gate_inp",
    "router",
    "hadamard",
    "sink",
    "ssm_",
    "conv",
    "alibi",
    "scale",
    "gamma",
    "_gate",
    "position_emb",
    "embed_pos",
    "rope_f",
];

impl Checkpoint {
    /// Returns the names of the tensors that have no effect, because no rule reads them, in file order.
    pub fn ignored_tensors(&self) -> Vec<String> {
        let read = self.read_names();
        self.tensor_names().into_iter().filter(|name| !read.contains(name)).collect()
    }

    /// Checks that the file has no layers after the last one of the configuration, and that no tensor is left
    /// that would change what the model computes, such as a bias or a norm. Ignoring such a tensor would run
    /// a different model.
    ///
    /// # Errors
    /// Returns an error if there is such a tensor.
    pub fn check_unused_tensors(&self) -> Result<()> {
        let ignored = self.ignored_tensors();
        let layers = ignored.iter().filter_map(|name| layer_of(name)).map(|layer| layer + 1).max();
        let count = self.config().num_hidden_layers;
        if let Some(layers) = layers.filter(|layers| *layers > count) {
            let key = self.gguf().map_or_else(
                || "num_hidden_layers".into(),
                |gguf| format!("{}.block_count", gguf.architecture_name()),
            );
            let (file, reason) = (
                self.settings_file().into(),
                format!(
                    "but the weights have {layers} layers, and leaving out the last ones would run a different model: use \
                 {layers}, or the configuration that came with the weights"
                ),
            );
            return Err(Error::ConfigValue { file, key, value: count.to_string(), reason });
        }
        let matters =
            |name: &&String| name.ends_with(".bias") || SUSPICIOUS.iter().any(|part| name.contains(part));
        match ignored.iter().find(matters) {
            None => Ok(()),
            Some(tensor) => Err(Error::UnusedTensor { file: self.file(), tensor: tensor.clone() }),
        }
    }

    /// Returns the names of the tensors that are read, if the file has them.
    fn read_names(&self) -> HashSet<String> {
        // A plain Llama ignores the sub-norms on purpose.
        let config = Config { plain_llama: false, ..self.config().clone() };
        let mut names: HashSet<String> = config.all_norms().map(|norm| norm.name).collect();
        names.extend([EMBEDDING, LM_HEAD].map(str::to_owned));
        for linear in config.all_linears() {
            names.extend(["weight", "weight_scale"].map(|end| format!("{}.{end}", linear.name)));
            names.extend(linear.bias.then(|| format!("{}.bias", linear.name)));
        }
        if self.gguf().is_none() {
            return names;
        }
        let scale = |name: &String| name.strip_suffix(".weight").map(|stem| format!("{stem}.scale"));
        let mut names: HashSet<String> = names.iter().filter_map(|name| to_gguf(name)).collect();
        names.extend(names.iter().filter_map(scale).collect::<Vec<_>>());
        names.insert("rope_freqs.weight".into());
        names
    }
}

/// Returns the index of the layer to which a tensor belongs; `None` if it belongs to none.
fn layer_of(name: &str) -> Option<usize> {
    let rest = name.strip_prefix("model.layers.").or_else(|| name.strip_prefix("blk."))?;
    rest.split('.').next()?.parse().ok()
}
