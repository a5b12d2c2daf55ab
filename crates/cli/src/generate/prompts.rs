//! Reads the prompts and the stop tokens.

use std::{io::Read, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bitkv_bytes::limit;
use bitkv_models::LoadedModel;
use bitkv_tokenizer::{Chat, Message};

use super::Arguments;
use crate::{first_tokens::check_length, input};

/// Another remedy for a prompt that is longer than the model reads.
const IN_CHUNKS: &str = ", or read it in chunks with --policy, --positions rerotated and --prefill-chunk";

/// Returns the prompts as texts; empty if the prompts are token ids. The prompt `-` is read from standard
/// input, before a model is loaded.
pub(super) fn texts(arguments: &Arguments) -> Result<Vec<String>> {
    ensure!(
        !(arguments.prompt.is_empty() && arguments.tokens.is_empty()) || arguments.is_conversation(),
        "there is no prompt: give --prompt TEXT, --prompt - for standard input, --tokens FILE, or --chat to talk in \
         turns"
    );
    let from_input = arguments.prompt.iter().filter(|prompt| *prompt == "-").count();
    ensure!(from_input <= 1, "standard input can be only one prompt: give --prompt - once");
    let read = |prompt: &String| {
        if prompt != "-" {
            ensure!(!prompt.trim().is_empty(), "--prompt is empty: write a prompt");
            return Ok(prompt.clone());
        }
        let mut text = String::new();
        let read = std::io::stdin().take(limit::TEXT + 1).read_to_string(&mut text);
        read.context("cannot read the prompt from standard input as UTF-8 text")?;
        ensure!(
            text.len() as u64 <= limit::TEXT,
            "standard input has more than the {} bytes that are read of a text: give a shorter one",
            limit::TEXT
        );
        ensure!(!text.trim().is_empty(), "standard input is empty: write a prompt to it");
        // A shell adds a line end that does not belong to the prompt.
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
    };
    arguments.prompt.iter().map(read).collect()
}

/// Returns the prompts as token ids.
pub(super) fn tokens(
    arguments: &Arguments,
    texts: Vec<String>,
    loaded: &LoadedModel,
) -> Result<Vec<Vec<u32>>> {
    if texts.is_empty() {
        let read = |path: &PathBuf| {
            let tokens = input::tokens(path, &loaded.name, loaded.config())?;
            checked_length(arguments, &path.display().to_string(), tokens, loaded)
        };
        return arguments.tokens.iter().map(read).collect();
    }
    let tokenizer = loaded.tokenizer()?;
    let checked = |tokens: Vec<u32>| checked_length(arguments, "--prompt", tokens, loaded);
    if !arguments.chat {
        let encode = |text: &String| match arguments.reads_long_prompts() {
            true => checked(tokenizer.encode(text)?),
            false => {
                let model = (tokenizer, &*loaded.name, loaded.config());
                arguments.first.encode("--prompt", text, model, IN_CHUNKS)
            }
        };
        return texts.iter().map(encode).collect();
    }
    let chat = chat(arguments, loaded)?;
    let chat_prompt = |text: String| {
        let system = arguments.system.iter().map(|system| Message::new("system", system.clone()));
        let messages: Vec<Message> = system.chain([Message::new("user", text)]).collect();
        checked(tokenizer.encode_bare(&chat.render(&messages, true)?)?)
    };
    texts.into_iter().map(chat_prompt).collect()
}

/// Returns the chat template of the model, at the date of the arguments.
pub(super) fn chat(arguments: &Arguments, loaded: &LoadedModel) -> Result<Chat> {
    let chat = loaded.chat()?;
    match &arguments.date {
        Some(date) => chat.on_date(date).context("--date cannot be used"),
        None => Ok(chat),
    }
}

/// Returns the tokens of a prompt, or the first of them, if the model can read them.
/// `name` names the prompt in errors.
pub(super) fn checked_length(
    arguments: &Arguments,
    name: &str,
    tokens: Vec<u32>,
    loaded: &LoadedModel,
) -> Result<Vec<u32>> {
    if arguments.reads_long_prompts() {
        return Ok(arguments.first.take(name, tokens));
    }
    let (model, config) = (&loaded.name, loaded.config());
    if arguments.chat {
        check_length(name, &tokens, model, config, IN_CHUNKS)?;
        return Ok(tokens);
    }
    arguments.first.shorten(name, tokens, model, config, IN_CHUNKS)
}

/// Returns the id of a stop token, which is given as an id or as text.
pub(super) fn stop(token: &str, loaded: &LoadedModel) -> Result<u32> {
    let vocabulary = loaded.config().vocab_size;
    if let Ok(id) = token.parse::<u32>() {
        ensure!(
            (id as usize) < vocabulary,
            "--stop {id} is outside the vocabulary of {}, which has {vocabulary} ids: use a smaller id",
            loaded.name
        );
        return Ok(id);
    }
    let tokenizer = loaded.tokenizer()?;
    if let Some(id) = tokenizer.id(token) {
        return Ok(id);
    }
    match tokenizer.encode_bare(token)?[..] {
        [id] => Ok(id),
        _ => bail!(
            "--stop {token} is not one token of {}: use one token of its vocabulary, or an id",
            loaded.name
        ),
    }
}
