//! Which files of a repository a BitNet checkpoint needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;

use crate::{Error, Lack, ModelId, Result, model_id::is_gguf, name};

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "tokenizer.model"];
/// Taken where they exist.
const OPTIONAL: [&str; 5] = [
    "generation_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// More than any index of shards has, in bytes.
const MAX_INDEX: u64 = 64 << 20;
/// How many names a message lists.
const SHOWN: usize = 8;

/// The files to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Weights in safetensors: all of `needed`, with the shards that an index among them names, and
    /// `optional`.
    Checkpoint { needed: Vec<String>, optional: Vec<String> },
    /// One file that holds everything.
    Gguf(String),
}

impl Wanted {
    /// Chooses among the files that a repository has, or a cached copy of it.
    pub(crate) fn of(id: &ModelId, names: &BTreeSet<String>) -> Result<Wanted, Lack> {
        let has = |name: &&str| names.contains(*name);
        if let Some(file) = id.file() {
            return if has(&file) { Ok(Wanted::Gguf(file.into())) } else { Err(Lack::File(file.into())) };
        }
        let Some(weights) = [WEIGHTS, INDEX].into_iter().find(has) else {
            return only_gguf(id, names);
        };
        if !has(&CONFIG) {
            return Err(Lack::File(CONFIG.into()));
        }
        let tokenizer = TOKENIZERS.into_iter().find(has).ok_or(Lack::Tokenizer)?;
        Ok(Wanted::Checkpoint {
            needed: [CONFIG, tokenizer, weights].map(String::from).into(),
            optional: OPTIONAL.into_iter().filter(has).map(String::from).collect(),
        })
    }

    /// Names that would have been taken had the repository had them.
    pub(crate) fn absent(names: &BTreeSet<String>) -> impl Iterator<Item = &'static str> {
        let all = [WEIGHTS, INDEX, CONFIG].into_iter().chain(TOKENIZERS).chain(OPTIONAL);
        all.filter(|name| !names.contains(*name))
    }

    /// Whether a cached copy has all that the repository has of this, given which names the repository is
    /// known not to have.
    pub(crate) fn is_certain(
        &self,
        id: &ModelId,
        names: &BTreeSet<String>,
        gone: impl Fn(&str) -> bool,
    ) -> bool {
        match self {
            Wanted::Gguf(_) => id.file().is_some(),
            Wanted::Checkpoint { .. } => {
                let known = |name: &&str| names.contains(*name) || gone(name);
                OPTIONAL.iter().all(known) && (known(&TOKENIZERS[0]) && known(&WEIGHTS))
            }
        }
    }
}

fn only_gguf(id: &ModelId, names: &BTreeSet<String>) -> Result<Wanted, Lack> {
    let files: Vec<&String> = names.iter().filter(|name| is_gguf(name)).collect();
    match files[..] {
        [] => Err(Lack::Weights),
        [file] => match name::fault(file) {
            Some(reason) => Err(Lack::Name { name: file.escape_debug().to_string(), reason }),
            None => Ok(Wanted::Gguf(file.clone())),
        },
        [first, ..] => {
            let example = format!("{}/{}@{}", id.repository(), first.escape_debug(), id.revision());
            let shown = files.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect();
            Err(Lack::Choice { files: shown, more: files.len().saturating_sub(SHOWN), example })
        }
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names.
pub(crate) fn shards(id: &ModelId, path: &Path) -> Result<BTreeSet<String>> {
    let unreadable = |source| Error::Read { path: path.into(), source };
    let odd = |reason: String| Error::Index { path: path.into(), reason };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_INDEX {
        return Err(odd(format!("it has {size} bytes")));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let index: Index = serde_json::from_str(&text).map_err(|e| odd(e.to_string()))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    for name in &names {
        if let Some(reason) = name::fault(name) {
            let lack = Lack::Name { name: name.escape_debug().to_string(), reason };
            return Err(Error::Repository { model: id.to_string(), lack });
        }
    }
    match names.iter().find(|name| !name.ends_with(".safetensors")) {
        Some(name) => Err(odd(format!("it names `{name}`, which is no safetensors file"))),
        None if names.is_empty() => Err(odd("it names no shard".into())),
        None => Ok(names),
    }
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;
