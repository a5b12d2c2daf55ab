//! Reads what the other files of a folder say about its tokenizer: `tokenizer_config.json`,
//! `special_tokens_map.json`, `added_tokens.json` and `tokenizer_class` in `config.json`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;

use crate::{Error, Result, folder::optional};

/// The settings of a folder that change how texts are encoded.
#[derive(Default)]
pub(crate) struct Settings {
    /// The file that errors name.
    pub(crate) file: String,
    /// `tokenizer_class`, without `Fast` at its end.
    pub(crate) class: Option<String>,
    pub(crate) add_bos: Option<bool>,
    pub(crate) add_eos: Option<bool>,
    pub(crate) legacy: Option<bool>,
    pub(crate) add_prefix_space: Option<bool>,
    /// The tokens with a role, by key, such as `bos_token`. `None` means that the file says `null`.
    roles: BTreeMap<String, Option<Entry>>,
    /// The tokens of `additional_special_tokens` and `extra_special_tokens`.
    extra: Vec<Entry>,
    /// Whether `tokenizer_config.json` has `added_tokens_decoder`.
    pub(crate) lists_added: bool,
    /// The tokens of `added_tokens_decoder` or of `added_tokens.json`, by id.
    pub(crate) added: BTreeMap<u32, Entry>,
}

/// A token with its properties, as these files write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "TextOrToken")]
pub(crate) struct Entry {
    token: AddedToken,
}

/// A token is written as a text or as an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrToken {
    Text(String),
    Token(Described),
}

/// A token that is written as an object. Some files leave properties out.
#[derive(Deserialize)]
struct Described {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl From<TextOrToken> for Entry {
    fn from(written: TextOrToken) -> Entry {
        match written {
            TextOrToken::Text(content) => Entry { token: AddedToken::from(content, true) },
            TextOrToken::Token(written) => {
                let token = AddedToken {
                    normalized: written.normalized.unwrap_or(!written.special),
                    content: written.content,
                    single_word: written.single_word,
                    lstrip: written.lstrip,
                    rstrip: written.rstrip,
                    special: written.special,
                };
                Entry { token }
            }
        }
    }
}

/// The keys of tokens with a role that every class of tokenizers has.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl Settings {
    /// Reads the settings of a folder. Missing files say nothing.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or a value is not understood.
    pub(crate) fn from_folder(folder: &Path) -> Result<Settings> {
        let path = folder.join("tokenizer_config.json");
        let found = optional(&path)?;
        let file = path.display().to_string();
        if found.as_ref().is_some_and(|config| !config.is_object()) {
            return Err(Error::json(&file, "it is not an object"));
        }
        let config = found.unwrap_or_default();
        let mut settings = Settings {
            class: class(folder, &config, &file)?,
            add_bos: flag(&config, "add_bos_token", &file)?,
            add_eos: flag(&config, "add_eos_token", &file)?,
            legacy: flag(&config, "legacy", &file)?,
            add_prefix_space: flag(&config, "add_prefix_space", &file)?,
            file: file.clone(),
            ..Settings::default()
        };
        settings.read_roles(&config, &file)?;
        match value(&config, "added_tokens_decoder", &file)? {
            Some(added) => (settings.added, settings.lists_added) = (added, true),
            None => settings.read_older_files(folder)?,
        }
        Ok(settings)
    }

    /// Reads the tokens with a role.
    fn read_roles(&mut self, config: &Value, file: &str) -> Result<()> {
        for (key, written) in config.as_object().into_iter().flatten() {
            let is_token = written.is_string() || written.is_object() || written.is_null();
            if key.ends_with("_token") && (ROLES.contains(&key.as_str()) || is_token) {
                self.roles.insert(key.clone(), value(config, key, file)?);
            }
        }
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            match &config[key] {
                // This form names the tokens of one class of models.
                Value::Object(named) => {
                    for name in named.keys() {
                        self.extra.extend(value::<Entry>(&config[key], name, file)?);
                    }
                }
                _ => self.extra.extend(value::<Vec<Entry>>(config, key, file)?.unwrap_or_default()),
            }
        }
        Ok(())
    }

    /// Reads `special_tokens_map.json` and `added_tokens.json`, which count if `tokenizer_config.json` lists
    /// no added tokens.
    fn read_older_files(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join("special_tokens_map.json");
        if let Some(map) = optional(&path)? {
            self.read_roles(&map, &path.display().to_string())?;
        }
        let path = folder.join("added_tokens.json");
        let Some(ids) = optional(&path)? else { return Ok(()) };
        let ids = BTreeMap::<String, u32>::deserialize(&ids)
            .map_err(|e| Error::json(&path.display().to_string(), e))?;
        let special: Vec<String> = self.named().map(|entry| entry.token.content.clone()).collect();
        let entry =
            |content: String| Entry { token: AddedToken::from(content.clone(), special.contains(&content)) };
        self.added = ids.into_iter().map(|(content, id)| (id, entry(content))).collect();
        Ok(())
    }

    /// Returns the tokens with a role and the other special tokens, in the order of transformers.
    fn named(&self) -> impl Iterator<Item = &Entry> {
        let known = ROLES.iter().filter_map(|role| self.roles.get(*role));
        let others = self.roles.iter().filter(|(role, _)| !ROLES.contains(&role.as_str()));
        known.chain(others.map(|(_, entry)| entry)).flatten().chain(&self.extra)
    }

    /// Gives roles without a token the tokens that a class of transformers has by default.
    pub(crate) fn set_default_roles(&mut self, defaults: &[(&str, &str)]) {
        for (role, token) in defaults {
            let entry = Entry { token: AddedToken::from(*token, true) };
            self.roles.entry((*role).to_string()).or_insert(Some(entry));
        }
    }

    /// Returns the token of a role; `None` if the files do not name one.
    pub(crate) fn role(&self, key: &str) -> Option<&str> {
        self.roles.get(key)?.as_ref().map(|entry| entry.token.content.as_str())
    }

    /// Returns the class, without `Fast` at its end.
    pub(crate) fn class(&self) -> &str {
        self.class.as_deref().unwrap_or_default()
    }

    /// Returns the tokens that are added to a `tokenizer.model`, by id.
    pub(crate) fn added_by_id(&self) -> BTreeMap<u32, AddedToken> {
        // Whether a token is found before or after spaces are rewritten matters only for tokens that contain
        // spaces, and these files have none.
        let token = |entry: &Entry| AddedToken { normalized: false, ..entry.token.clone() };
        self.added.iter().map(|(id, entry)| (*id, token(entry))).collect()
    }

    /// Merges the tokens of these files into the added tokens of a tokenizer, as transformers does. `ids` are
    /// the ids of the tokens of the model, and `next` is the first id after all of them.
    pub(crate) fn add_to(
        &self,
        added: &mut Vec<(u32, AddedToken)>,
        id: impl Fn(&str) -> Option<u32>,
        mut next: u32,
    ) {
        let find = |added: &[(u32, AddedToken)], content: &str| {
            added.iter().position(|(_, token)| token.content == content)
        };
        let mut place =
            |added: &mut Vec<(u32, AddedToken)>, token: &AddedToken| match find(added, &token.content) {
                Some(at) => added[at].1 = token.clone(),
                None => {
                    let known = id(&token.content).unwrap_or_else(|| {
                        next += 1;
                        next - 1
                    });
                    added.push((known, token.clone()));
                }
            };
        let roles: Vec<&str> = self.named().map(|entry| entry.token.content.as_str()).collect();
        for entry in self.added.values() {
            let special = entry.token.special || roles.contains(&entry.token.content.as_str());
            place(added, &AddedToken { special, ..entry.token.clone() });
        }
        for entry in self.named() {
            if find(added, &entry.token.content).is_none() {
                place(added, &AddedToken { special: true, ..entry.token.clone() });
            }
        }
    }
}

/// Returns the class of the tokenizer, without `Fast` at its end.
fn class(folder: &Path, config: &Value, file: &str) -> Result<Option<String>> {
    let mut class: Option<String> = value(config, "tokenizer_class", file)?;
    if class.is_none() {
        // Other mistakes in config.json are for the reader of the weights to report.
        let model = folder.join("config.json");
        let config = if model.is_file() { optional(&model).ok().flatten() } else { None };
        class = config.and_then(|config| config["tokenizer_class"].as_str().map(String::from));
    }
    Ok(class.map(|class| class.strip_suffix("Fast").map(String::from).unwrap_or(class)))
}

/// Returns a flag; `None` if it is missing or null.
fn flag(config: &Value, key: &str, file: &str) -> Result<Option<bool>> {
    match &config[key] {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        other => Err(Error::json(file, format!("`{key}` is {other}, but must be true or false"))),
    }
}

/// Returns a value; `None` if it is missing or null.
fn value<'a, T: Deserialize<'a>>(config: &'a Value, key: &str, file: &str) -> Result<Option<T>> {
    Option::deserialize(&config[key]).map_err(|e| Error::json(file, format!("`{key}`: {e}")))
}
