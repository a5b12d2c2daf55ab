//! What several commands read: tokens, texts, profiles.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use bitkv_checkpoint::Config;
use bitkv_lab::head_numbers::HeadFiles;
use bitkv_record::{Split, Texts};

/// Reads a JSON array of token ids that the model knows and can read at once.
pub(crate) fn tokens(path: &Path, model: &str, config: &Config) -> Result<Vec<u32>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the token file {name}"))?;
    let ids: Vec<u32> = serde_json::from_str(&text)
        .with_context(|| format!("{name} is not a JSON array of token ids such as [1, 2, 3]"))?;
    ensure!(!ids.is_empty(), "{name} holds no token ids: put at least one into the array");
    let (vocabulary, longest) = (config.vocab_size, config.max_position_embeddings);
    if let Some(at) = ids.iter().position(|&id| id as usize >= vocabulary) {
        bail!(
            "{name}: token id {} at index {at} is outside the vocabulary of {vocabulary} of {}: use ids of its tokenizer",
            ids[at],
            model
        );
    }
    ensure!(
        ids.len() <= longest,
        "{name} holds {} tokens and {} reads {longest} at most: shorten it",
        ids.len(),
        model
    );
    Ok(ids)
}

/// Reads a UTF-8 text file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the text file {}", path.display()))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.with_context(|| format!("{} is not UTF-8: convert it first", path.display()))?;
    ensure!(!text.trim().is_empty(), "{} is empty: give it some text", path.display());
    Ok(text)
}

/// Reads a folder of the user's own texts; the files are named without it.
pub(crate) fn texts(folder: &Path, split: Split) -> Result<Texts> {
    Texts::from_folder(folder, split).with_context(|| format!("cannot use the texts of {}", folder.display()))
}

/// Where numbers about heads come from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Calibration {
    /// A profile for policies that need entropies; measured when it is not given.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Importance of every query head for policies that need it: rows of numbers, one a layer (JSON, TSV or HeadKV's format).
    #[arg(long, value_name = "FILE")]
    head_scores: Option<PathBuf>,
    /// How much each KV head is one for retrieval, 0 to 1, for policies that need it: DuoAttention's TSV, or JSON rows.
    #[arg(long, value_name = "FILE")]
    head_pattern: Option<PathBuf>,
}

impl Calibration {
    /// The files that were named.
    pub(crate) fn files(&self) -> HeadFiles {
        let Calibration { profile, head_scores, head_pattern } = self.clone();
        HeadFiles { profile, head_scores, head_pattern }
    }
}
