//! Shortens what a model reads to its first tokens, and refuses what the model has no positions for.

use std::num::NonZeroUsize;

use anyhow::{Result, bail, ensure};
use bitkv_checkpoint::Config;
use bitkv_tokenizer::Tokenizer;

use crate::output;

/// The option that shortens texts, for commands that read them whole.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct FirstArgument {
    /// Use only the first N tokens of every text and token file, or all tokens if there are fewer.
    #[arg(long, value_name = "N")]
    first: Option<NonZeroUsize>,
}

impl FirstArgument {
    /// Returns the tokens of a text, which `name` names in messages, or the first of them, as
    /// [`FirstArgument::shorten`] does. A long text is read only as far as it is needed.
    ///
    /// # Errors
    /// When the text cannot be encoded, or the model has fewer positions.
    pub(crate) fn encode(
        self,
        name: &str,
        text: &str,
        (tokenizer, model, config): (&Tokenizer, &str, &Config),
        other_remedy: &str,
    ) -> Result<Vec<u32>> {
        let longest = config.max_position_embeddings;
        let (mut tokens, is_all) = tokenizer.encode_beginning(text, longest)?;
        if is_all {
            return self.shorten(name, tokens, model, config, other_remedy);
        }
        let remedy = format!("--first N to use its first N tokens, at most {longest}{other_remedy}");
        let Some(first) = self.first.map(NonZeroUsize::get) else {
            bail!("{name} has more than the {longest} positions of {model}: shorten it, or give {remedy}");
        };
        ensure!(
            first <= longest,
            "--first {first} is more than the {longest} positions of {model}: give {remedy}"
        );
        tokens.truncate(first);
        output::notes(&[format!("{name} has more than {longest} tokens: the first {first} are used")]);
        Ok(tokens)
    }

    /// Returns the first tokens that the option asks for of an input, which `name` names in messages. A note
    /// says if the input has more.
    pub(crate) fn take(self, name: &str, tokens: Vec<u32>) -> Vec<u32> {
        take(self.first, name, tokens)
    }

    /// Does the same as [`FirstArgument::take`] for a model that reads no more tokens than it has positions.
    /// `other_remedy` continues the sentence about too many tokens.
    ///
    /// # Errors
    /// When the model has fewer positions. The message names the option.
    pub(crate) fn shorten(
        self,
        name: &str,
        tokens: Vec<u32>,
        model: &str,
        config: &Config,
        other_remedy: &str,
    ) -> Result<Vec<u32>> {
        let longest = config.max_position_embeddings;
        let remedy = format!("--first N to use its first N tokens, at most {longest}{other_remedy}");
        if let Some(first) = self.first.filter(|first| first.get() < tokens.len()) {
            ensure!(
                first.get() <= longest,
                "--first {first} is more than the {longest} positions of {model}: give {remedy}"
            );
        }
        let tokens = self.take(name, tokens);
        check_length(name, &tokens, model, config, &format!(", or give {remedy}"))?;
        Ok(tokens)
    }
}

/// Returns the first tokens of an input, or all of them without `first`. A note says if the input has more.
pub(crate) fn take(first: Option<NonZeroUsize>, name: &str, mut tokens: Vec<u32>) -> Vec<u32> {
    let all = tokens.len();
    tokens.truncate(first.map_or(all, NonZeroUsize::get));
    if tokens.len() < all {
        output::notes(&[format!("{name} has {all} tokens: the first {} are used", tokens.len())]);
    }
    tokens
}

/// Checks that the tokens of a text, which `name` names in messages, fit into the positions of the model.
/// `remedy` continues the sentence after the words "shorten it".
///
/// # Errors
/// When there are more tokens than positions.
pub(crate) fn check_length(
    name: &str,
    tokens: &[u32],
    model: &str,
    config: &Config,
    remedy: &str,
) -> Result<()> {
    let longest = config.max_position_embeddings;
    ensure!(
        tokens.len() <= longest,
        "{name} has {} tokens, but {model} has only {longest} positions: shorten it{remedy}",
        tokens.len()
    );
    Ok(())
}
