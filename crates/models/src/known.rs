//! A [`Shape`] is the configuration of a model whose weights need not be loaded, such as a published model.

use std::path::Path;

use bitkv_bitnet::WeightKind;
use bitkv_checkpoint::Config;

use crate::{Error, LoadedModel, PLAIN_LLAMA_MARK, Result, Source, built_in, built_in_name};

/// The name and the configuration of a model.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The model's name.
    pub name: String,
    /// The model's configuration.
    pub config: Config,
    /// The bytes of all weights as they are stored, for a model with layers in full precision whose files are
    /// known. Those of a BitNet follow from its configuration.
    pub stored_bytes: Option<u64>,
}

/// A published model whose configuration is compiled in.
struct Published {
    name: &'static str,
    /// The short name that the command line accepts.
    short: &'static str,
    /// The repository on the Hugging Face hub.
    id: &'static str,
    /// The configuration as JSON.
    config: &'static str,
}

/// The two models that the published claims are about. Their configurations are compiled in; their weights
/// are not needed.
const PUBLISHED: [Published; 2] = [
    Published {
        name: "bitnet_b1_58-large",
        short: "large",
        id: "1bitLLM/bitnet_b1_58-large",
        config: include_str!("../data/bitnet_b1_58-large.json"),
    },
    Published {
        name: "BitNet-b1.58-2B-4T",
        short: "2b-4t",
        id: "microsoft/bitnet-b1.58-2B-4T",
        config: include_str!("../data/BitNet-b1.58-2B-4T.json"),
    },
];

impl Published {
    fn shape(&self) -> Result<Shape> {
        let config = Config::from_json(self.config, self.name)?;
        Ok(Shape { name: self.name.into(), config, stored_bytes: None })
    }
}

/// Returns the published models whose configurations are compiled in.
pub fn published_models() -> Result<Vec<Shape>> {
    PUBLISHED.iter().map(Published::shape).collect()
}

/// Returns the published model with the given name, short name or hub id, in any case. A hub id with a
/// revision does not match, because another revision may have another configuration.
pub fn published_model(name: &str) -> Result<Option<Shape>> {
    let has_name = |known: &&Published| {
        [known.name, known.short, known.id].iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    PUBLISHED.iter().find(has_name).map(Published::shape).transpose()
}

/// Returns the hub id of the published model with this name or short name, in any case.
pub fn published_id(name: &str) -> Option<&'static str> {
    let has_name =
        |known: &&Published| [known.name, known.short].iter().any(|other| other.eq_ignore_ascii_case(name));
    PUBLISHED.iter().find(has_name).map(|known| known.id)
}

/// Returns the [`published_model`] with the given name; `None` if there is no such model, or if a file or
/// folder has that name.
///
/// # Errors
/// Returns an error if a compiled-in configuration is damaged.
pub fn published_shape(name: &str) -> Result<Option<Shape>> {
    if Path::new(name).exists() {
        return Ok(None);
    }
    published_model(name)
}

/// Returns the configuration that `shape` names. It may be a `config.json` file, a published model by any of
/// its names, or a built-in model.
///
/// # Errors
/// Returns an error if nothing has that name, or if the file is not a valid configuration.
pub fn find_config(shape: &str) -> Result<Config> {
    if Path::new(shape).is_file() {
        let text = bitkv_bytes::read_document(Path::new(shape), bitkv_bytes::limit::SETTINGS)
            .map_err(|source| Error::Read { path: shape.into(), source })?;
        return Ok(Config::from_json(&text, shape)?);
    }
    if let Some(known) = published_model(shape)? {
        return Ok(known.config);
    }
    let Some(name) = built_in_name(shape) else {
        return Err(Error::UnknownShape { shape: shape.into(), built_in: built_in().join(", ") });
    };
    Ok(Source::find(name)?.checkpoint()?.config().clone())
}

impl Shape {
    /// Returns the shape of a loaded model.
    pub fn new(model: &LoadedModel) -> Shape {
        let is_bitnet = model.model.weight_kind() == WeightKind::Ternary;
        let stored_bytes = (!is_bitnet).then(|| model.model.weight_bytes() as u64);
        Shape { name: model.name.clone(), config: model.config().clone(), stored_bytes }
    }

    /// Returns the shape of the same model, run as a plain Llama.
    pub fn as_plain_llama(self) -> Shape {
        let (name, config) = (format!("{}{PLAIN_LLAMA_MARK}", self.name), self.config.as_plain_llama());
        Shape { name, config, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_models_are_found_by_every_name_in_any_case() {
        let found_name = |name: &str| published_model(name).unwrap().map(|shape| shape.name);
        for known in &PUBLISHED {
            for name in [known.name, known.short, known.id] {
                for name in [name.to_owned(), name.to_uppercase(), name.to_lowercase()] {
                    assert_eq!(found_name(&name).as_deref(), Some(known.name), "{name}");
                }
            }
            for name in [
                format!("{}@main", known.id),
                format!("{}@main", known.name),
                format!("other/{}", known.name),
            ] {
                assert_eq!(found_name(&name), None, "{name}");
            }
        }
        assert_eq!(found_name(""), None);
    }
}
