//! Writes a model in another format, with its tokenizer and the other files that belong to it.

use std::{io, path::Path};

use bitkv_bytes::{DraftFolder, disk};
use bitkv_checkpoint::{
    Checkpoint,
    gguf::{self, Target, WriteOptions},
    write_packed_folder,
};
use bitkv_progress::Progress;
use bitkv_tokenizer::{Chat, Tokenizer};
use serde_json::{Value, json};

use crate::{Error, Result, Source, loaded_model::report_notes, vocabulary};

/// The files of a model's folder, other than configuration and weights, that are copied unchanged.
const COMPANIONS: [&str; 7] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
];

/// Writes a folder of packed weights, with the tokenizer, to `out`. The folder appears when it is complete.
/// Returns the size of the tensors in bytes.
///
/// # Errors
/// Returns an error if `out` is a file or a folder that is not empty, a file cannot be written, or the model
/// runs as a plain Llama.
pub fn write_packed(
    source: &Source,
    checkpoint: &Checkpoint,
    out: &Path,
    progress: &dyn Progress,
) -> Result<u64> {
    refuse_plain_llama(checkpoint)?;
    source.check_padding(checkpoint)?;
    if out.file_name().is_none() {
        return Err(Error::FolderName { path: out.into() });
    }
    let unwritable = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists { path: out.into() },
        _ => Error::Write { path: out.into(), source },
    };
    let draft = DraftFolder::create(out).map_err(unwritable)?;
    let bytes = write_packed_folder(checkpoint, draft.folder(), progress)?;
    write_companions(source, checkpoint, draft.folder(), progress)?;
    draft.commit().map_err(unwritable)?;
    Ok(bytes)
}

/// Writes a GGUF file with the tokenizer's vocabulary to `out`. If `lossy` is true, scales may be rounded to
/// the type in which the format stores them. Returns the size of the tensors in bytes.
///
/// # Errors
/// Returns an error if `out` exists, a tensor does not fit the format, or the model runs as a plain Llama.
pub fn write_gguf(
    source: &Source,
    checkpoint: &Checkpoint,
    out: &Path,
    target: Target,
    lossy: bool,
    progress: &dyn Progress,
) -> Result<u64> {
    refuse_plain_llama(checkpoint)?;
    source.check_padding(checkpoint)?;
    let vocabulary = gguf_vocabulary(source, checkpoint, progress)?;
    let name = &source.name();
    let options = WriteOptions { target, embedding: None, lossy, vocabulary: vocabulary.as_ref(), name };
    Ok(gguf::write(out, checkpoint, &options, progress)?)
}

fn refuse_plain_llama(checkpoint: &Checkpoint) -> Result<()> {
    if checkpoint.config().plain_llama { Err(Error::PlainLlamaWritten) } else { Ok(()) }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    bitkv_bytes::write(path, bytes).map_err(|source| Error::Write { path: path.into(), source })
}

/// Returns the vocabulary of the tokenizer as GGUF files store it; `None` if the model has no tokenizer.
fn gguf_vocabulary(
    source: &Source,
    checkpoint: &Checkpoint,
    progress: &dyn Progress,
) -> Result<Option<gguf::Vocabulary>> {
    if let Some(gguf) = checkpoint.gguf() {
        return Ok(if gguf.has_vocabulary() { Some(gguf.vocabulary()?) } else { None });
    }
    let Some(tokenizer) = source.tokenizer(checkpoint)? else { return Ok(None) };
    report_notes(Some(&tokenizer), progress);
    let mut vocabulary =
        tokenizer.vocabulary().map_err(|source| Error::Vocabulary { source: Box::new(source) })?;
    let config = checkpoint.config();
    let ends = &config.eos_token_ids;
    if let (Some(true), Some(eos)) = (vocabulary.add_eos, vocabulary.special.eos)
        && !ends.is_empty()
        && !ends.contains(&eos)
    {
        return Err(Error::OtherEnd { added: eos, ends: ends.clone() });
    }
    vocabulary.special.bos = vocabulary.special.bos.or(config.bos_token_id);
    vocabulary.special.eos = vocabulary.special.eos.or(config.eos_token_ids.first().copied());
    Ok(Some(vocabulary::for_gguf(vocabulary, source.chat_template()?)))
}

/// Writes the tokenizer and the other [`COMPANIONS`] of a model. If the model is a folder, they are copied;
/// otherwise they are made from the vocabulary of the GGUF file or from the built-in tokenizer.
fn write_companions(
    source: &Source,
    checkpoint: &Checkpoint,
    out: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    if let Some(folder) = source.folder() {
        for name in COMPANIONS {
            let (from, to) = (folder.join(name), out.join(name));
            if from.is_file() {
                disk::copy_new(&from, &to).map_err(|source| Error::Copy { from, to, source })?;
            }
        }
        return Ok(());
    }
    let Some(tokenizer) = source.tokenizer(checkpoint)? else { return Ok(()) };
    report_notes(Some(&tokenizer), progress);
    write_file(&out.join("tokenizer.json"), &tokenizer.to_json()?)?;
    let gguf = checkpoint.gguf().filter(|gguf| gguf.has_vocabulary());
    match gguf.map(gguf::Gguf::vocabulary).transpose()?.and_then(|vocabulary| vocabulary.chat_template) {
        Some(template) => {
            let config = tokenizer_config(&tokenizer, template, &checkpoint.file());
            write_file(&out.join("tokenizer_config.json"), format!("{config:#}").as_bytes())
        }
        None => Ok(()),
    }
}

/// Returns the `tokenizer_config.json` for the chat template of a GGUF file, with the special tokens to which
/// templates refer by name.
fn tokenizer_config(tokenizer: &Tokenizer, template: String, file: &str) -> Value {
    // A template that bitkv cannot render is copied as it is: other programs may be able to use it.
    let template = Chat::from_gguf(&template, file, &[]).map_or(template, |chat| chat.template().into());
    let added = tokenizer.special_tokens();
    let mut config = json!({
        "chat_template": template,
        "add_bos_token": !added.before.is_empty(),
        "add_eos_token": !added.after.is_empty(),
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    let special = tokenizer.special_ids();
    for (key, id) in [("bos_token", special.bos), ("eos_token", special.eos)] {
        if let Some(token) = id.and_then(|id| tokenizer.token(id)) {
            config[key] = token.into();
        }
    }
    config
}
