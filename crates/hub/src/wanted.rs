//! Chooses the files of a repository that a BitNet checkpoint needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bitkv_bytes::limit;
use serde::Deserialize;

use crate::{Error, ModelId, RepositoryFault, Result, model_id::is_gguf, name};

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "tokenizer.model"];
/// Files that are downloaded if they exist.
const OPTIONAL: [&str; 5] = [
    "generation_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// The most file names that a message lists.
const SHOWN: usize = 8;

/// The files of a repository that a model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A checkpoint in safetensors. It consists of the files `needed` and `optional`; if `needed` contains an
    /// index, the shards that the index lists belong to it too.
    Checkpoint { needed: Vec<String>, optional: Vec<String> },
    /// A single file with everything, or all parts of a split model, the first one first.
    Gguf(Vec<String>),
}

impl Wanted {
    /// Chooses among `names`, the files of a repository or of its cached copy.
    pub(crate) fn new(id: &ModelId, names: &BTreeSet<String>) -> Result<Wanted, RepositoryFault> {
        let is_listed = |name: &&str| names.contains(*name);
        if let Some(file) = id.file() {
            let files = parts(file);
            return match files.iter().find(|file| !names.contains(*file)) {
                None => Ok(Wanted::Gguf(files)),
                Some(missing) => Err(RepositoryFault::File(missing.clone())),
            };
        }
        let Some(weights) = [WEIGHTS, INDEX].into_iter().find(is_listed) else {
            return only_gguf(id, names);
        };
        if !is_listed(&CONFIG) {
            return Err(RepositoryFault::File(CONFIG.into()));
        }
        let tokenizer = TOKENIZERS.into_iter().find(is_listed).ok_or(RepositoryFault::Tokenizer)?;
        Ok(Wanted::Checkpoint {
            needed: [CONFIG, tokenizer, weights].map(String::from).into(),
            optional: OPTIONAL.into_iter().filter(is_listed).map(String::from).collect(),
        })
    }

    /// Returns the files that would be chosen if the repository had them, but that are not among `names`.
    pub(crate) fn absent(names: &BTreeSet<String>) -> impl Iterator<Item = &'static str> {
        let all = [WEIGHTS, INDEX, CONFIG].into_iter().chain(TOKENIZERS).chain(OPTIONAL);
        all.filter(|name| !names.contains(*name))
    }

    /// Whether every file of the repository that would be chosen is known: it is among the cached files
    /// `names`, or `is_absent` returns true because the repository is known not to have it.
    pub(crate) fn is_certain(
        &self,
        id: &ModelId,
        names: &BTreeSet<String>,
        is_absent: impl Fn(&str) -> bool,
    ) -> bool {
        match self {
            Wanted::Gguf(_) => id.file().is_some(),
            Wanted::Checkpoint { .. } => {
                let known = |name: &&str| names.contains(*name) || is_absent(name);
                OPTIONAL.iter().all(known) && (known(&TOKENIZERS[0]) && known(&WEIGHTS))
            }
        }
    }
}

/// Returns the names of all parts of a split model, given one of them; the name itself if it is not a part.
fn parts(file: &str) -> Vec<String> {
    match bitkv_bytes::part_name(file) {
        Some((stem, _, count)) => bitkv_bytes::part_names(stem, count).collect(),
        None => vec![file.into()],
    }
}

/// Chooses the only GGUF file of a repository, or the parts of its only model. Returns an error if there is
/// no GGUF file or more than one.
fn only_gguf(id: &ModelId, names: &BTreeSet<String>) -> Result<Wanted, RepositoryFault> {
    let files: Vec<&String> = names.iter().filter(|name| is_gguf(name)).collect();
    match files[..] {
        [] => Err(RepositoryFault::Weights),
        [file, ..] if parts(file).iter().eq(files.iter().copied()) => match name::fault(file) {
            Some(reason) => Err(RepositoryFault::Name { name: file.escape_debug().to_string(), reason }),
            None => Ok(Wanted::Gguf(parts(file))),
        },
        [file] => {
            let missing = parts(file).into_iter().find(|part| !names.contains(part));
            Err(RepositoryFault::File(missing.unwrap_or_default()))
        }
        [first, ..] => {
            let example = format!("{}/{}@{}", id.repository(), first.escape_debug(), id.revision());
            let shown = files.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect();
            Err(RepositoryFault::Choice { files: shown, more: files.len().saturating_sub(SHOWN), example })
        }
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads the names of the shards from the index at `path`.
pub(crate) fn shards(id: &ModelId, path: &Path) -> Result<BTreeSet<String>> {
    let unreadable = |source| Error::Read { path: path.into(), source };
    let invalid = |reason: String| Error::Index { path: path.into(), reason };
    let text = bitkv_bytes::read_written_document(path, limit::INDEX).map_err(unreadable)?;
    bitkv_bytes::check_values(text.as_bytes()).map_err(&invalid)?;
    let index: Index = serde_json::from_str(&text).map_err(|e| invalid(e.to_string()))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    for name in &names {
        if let Some(reason) = name::fault(name) {
            let fault = RepositoryFault::Name { name: name.escape_debug().to_string(), reason };
            return Err(Error::Repository { model: id.to_string(), fault });
        }
    }
    match names.iter().find(|name| !name.ends_with(".safetensors")) {
        Some(name) => Err(invalid(format!("it names `{name}`, which is not a safetensors file"))),
        None if names.is_empty() => Err(invalid("it names no shard".into())),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| name.to_string()).collect()
    }

    fn id(text: &str) -> ModelId {
        ModelId::parse(text).expect(text)
    }

    fn wanted_from(list: &[&str]) -> Result<Wanted, RepositoryFault> {
        Wanted::new(&id("org/name"), &names(list))
    }

    #[test]
    fn single_weights_are_preferred_to_shards_and_tokenizer_json_to_tokenizer_model() {
        let all = ["config.json", "tokenizer.json", "tokenizer.model", WEIGHTS, INDEX, "a.gguf", "x.bin"];
        let needed = ["config.json", "tokenizer.json", WEIGHTS].map(String::from).to_vec();
        assert_eq!(wanted_from(&all), Ok(Wanted::Checkpoint { needed, optional: vec![] }));
        let needed = ["config.json", "tokenizer.model", INDEX].map(String::from).to_vec();
        let sharded = ["config.json", "tokenizer.model", INDEX];
        assert_eq!(wanted_from(&sharded), Ok(Wanted::Checkpoint { needed, optional: vec![] }));
    }

    #[test]
    fn a_copy_is_certain_when_every_other_file_is_known_to_be_absent() {
        let list = names(&["config.json", "tokenizer.json", WEIGHTS, "chat_template.jinja"]);
        let model = id("org/name");
        let wanted = Wanted::new(&model, &list).expect("complete");
        let absent: BTreeSet<_> = Wanted::absent(&list).collect();
        assert!(absent.contains("tokenizer.model") && !absent.contains("chat_template.jinja"));
        assert!(wanted.is_certain(&model, &list, |name| absent.contains(name)));
        assert!(!wanted.is_certain(&model, &list, |_| false));
        for name in ["generation_config.json", "tokenizer_config.json", "added_tokens.json"] {
            assert!(!wanted.is_certain(&model, &list, |gone| gone != name), "{name}");
        }
        let pieces = names(&["config.json", "tokenizer.model", WEIGHTS]);
        let wanted = Wanted::new(&model, &pieces).expect("complete");
        assert!(!wanted.is_certain(&model, &pieces, |gone| gone != "tokenizer.json"));
    }

    #[test]
    fn long_lists_are_shortened() {
        let list: Vec<String> = (0..20).map(|i| format!("{i:02}.gguf")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let message = wanted_from(&list).expect_err("a choice").to_string();
        assert!(
            message.contains("07.gguf and 12 more)") && message.contains("`org/name/00.gguf@main`"),
            "{message}"
        );
    }

    #[test]
    fn an_invalid_index_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(INDEX);
        let read = |content: &str| {
            fs::write(&path, content).expect("written");
            shards(&id("org/name"), &path)
        };
        let good = r#"{"metadata": {}, "weight_map": {"a": "1.safetensors", "b": "1.safetensors"}}"#;
        assert_eq!(read(good).expect("an index"), names(&["1.safetensors"]));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"weight_map": {}}"#,
            r#"{"weight_map": {"a": 1}}"#,
            r#"{"weight_map": {"a": "x.py"}}"#,
        ] {
            let message = read(bad).expect_err(bad).to_string();
            assert!(message.contains(INDEX) && message.contains("run again"), "{message}");
        }
        let message = read(r#"{"weight_map": {"a": "../1.safetensors"}}"#).expect_err("unsafe").to_string();
        assert!(message.contains("`../1.safetensors`"), "{message}");
    }

    #[test]
    fn a_huge_index_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(INDEX);
        fs::File::create(&path).and_then(|file| file.set_len(limit::INDEX + 1)).expect("a sparse file");
        let message = shards(&id("org/name"), &path).expect_err("too large").to_string();
        assert!(message.contains("it has 67108865 bytes"), "{message}");
    }
}
