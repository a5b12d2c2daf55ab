//! Reads the files that several commands take: tokens, texts, and numbers about heads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bitkv_bytes::limit;
use bitkv_checkpoint::Config;
use bitkv_evict::{Need, Policy};
use bitkv_lab::calibration::HeadFiles;
use bitkv_record::{Split, Texts};

/// Reads a JSON array of token ids, of any length.
///
/// # Errors
/// When an id is outside the vocabulary.
pub(crate) fn tokens(path: &Path, model: &str, config: &Config) -> Result<Vec<u32>> {
    let name = path.display();
    let text = bitkv_bytes::read_document(path, limit::TOKENS)
        .with_context(|| format!("cannot read the token file {name}"))?;
    let ids: Vec<u32> = serde_json::from_str(&text)
        .with_context(|| format!("{name} is not a JSON array of token ids such as [1, 2, 3]"))?;
    ensure!(!ids.is_empty(), "{name} holds no token ids: put at least one into the array");
    let vocabulary = config.vocab_size;
    if let Some(index) = ids.iter().position(|&id| id as usize >= vocabulary) {
        bail!(
            "{name}: token id {} at index {index} is outside the vocabulary of {model}, which has {vocabulary} ids: use \
             ids of its tokenizer",
            ids[index]
        );
    }
    Ok(ids)
}

/// Reads a UTF-8 text file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let bytes = bitkv_bytes::read_text_bytes(path)
        .with_context(|| format!("cannot read the text file {}", path.display()))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.with_context(|| format!("{} is not UTF-8: convert it first", path.display()))?;
    ensure!(!text.trim().is_empty(), "{} is empty: give a file with text", path.display());
    Ok(text)
}

/// Reads a folder of the user's own texts. Errors name the folder.
pub(crate) fn texts(folder: &Path, split: Split) -> Result<Texts> {
    Texts::from_folder(folder, split).with_context(|| format!("cannot use the texts of {}", folder.display()))
}

/// The files with numbers about heads that some policies need.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CalibrationArguments {
    /// A profile of `bitkv profile` for policies that need entropies. Without it, entropies are measured.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// The importance of every query head, for policies that need it: one row of numbers per layer, as JSON,
    /// TSV or in HeadKV's format.
    #[arg(long, value_name = "FILE")]
    head_scores: Option<PathBuf>,
    /// The retrieval score of every KV head, 0 to 1, for policies that need it: one row per layer, as
    /// DuoAttention's TSV or JSON.
    #[arg(long, value_name = "FILE")]
    head_pattern: Option<PathBuf>,
}

impl CalibrationArguments {
    /// Checks that the policy reads each file that was named. `policy` is `None` if nothing is evicted.
    ///
    /// # Errors
    /// When a file has no effect. The message names its option.
    pub(crate) fn check(&self, policy: Option<&Policy>) -> Result<()> {
        let files = [
            (Need::Entropy, "--profile", &self.profile),
            (Need::HeadScores, "--head-scores", &self.head_scores),
            (Need::HeadPattern, "--head-pattern", &self.head_pattern),
        ];
        for (need, option, _) in files.into_iter().filter(|(.., file)| file.is_some()) {
            let Some(policy) = policy else {
                bail!("{option} has no effect without a policy: give --policy too, or leave it out");
            };
            ensure!(
                policy.needs().contains(need),
                "{option} has no effect, because {} does not read {}: leave it out, or use another policy",
                policy.spec(),
                need.name()
            );
        }
        Ok(())
    }

    /// Returns the files that were named.
    pub(crate) fn files(&self) -> HeadFiles {
        let CalibrationArguments { profile, head_scores, head_pattern } = self.clone();
        HeadFiles { profile, head_scores, head_pattern }
    }
}
