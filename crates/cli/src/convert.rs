use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{Context, Result, ensure};
use bitkv_checkpoint::{
    Architecture, Checkpoint, Progress,
    gguf::{self, Target, WriteOptions},
    write_packed_folder,
};
use bitkv_models::{Source, vocabulary};
use bitkv_tokenizer::{Chat, Tokenizer};
use clap::{ValueEnum, builder::PossibleValue};
use serde_json::{Value, json};

use crate::{model::ReadingArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to convert: a built-in name, a folder, a .gguf file, or organisation/name on the hub.
    model: String,
    /// The folder or .gguf file to write; nothing is replaced.
    out: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    to: Format,
    /// Allow scales to be rounded where the format has a smaller type for them.
    #[arg(long)]
    lossy: bool,
    #[command(flatten)]
    reading: ReadingArguments,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Packed,
    Gguf(Target),
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Format] {
        static ALL: LazyLock<Vec<Format>> =
            LazyLock::new(|| [Format::Packed].into_iter().chain(Target::all().map(Format::Gguf)).collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (names, about) = match self {
            Format::Packed => (&["packed"][..], "A Hugging Face folder with packed ternary weights"),
            Format::Gguf(target) => (target.written().options, target.written().about),
        };
        let (name, aliases) = names.split_first()?;
        Some(PossibleValue::new(*name).aliases(aliases).help(about))
    }
}

/// What belongs to a model beside its weights and is copied as it is.
const COMPANIONS: [&str; 7] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let source = arguments.reading.source(&arguments.model)?;
    let checkpoint = source.checkpoint()?;
    ensure!(
        !checkpoint.config().skeleton,
        "a llama skeleton is a way to run a model, not a model to write: leave out --skeleton"
    );
    let bar = bitkv_progress::Progress::bytes("writing", 0);
    let mut bytes = 0;
    let mut see = |done, total| {
        bytes = total;
        bar.reach_of(done, total);
    };
    match arguments.to {
        Format::Packed => packed(&source, &checkpoint, &arguments.out, &mut see)?,
        Format::Gguf(target) => {
            let vocabulary = gguf_vocabulary(&source, &checkpoint)?;
            let options = WriteOptions {
                target,
                embedding: None,
                lossy: arguments.lossy,
                vocabulary: vocabulary.as_ref(),
                name: &source.name(),
            };
            gguf::write(&arguments.out, &checkpoint, &options, &mut see)?;
            if !checkpoint.is_tied() && checkpoint.config().architecture != Architecture::Llama {
                eprintln!(
                    "note: bitnet.cpp ignores an output head of its own for this architecture; bitkv reads it"
                );
            }
        }
    }
    bar.clear();
    report(arguments, &checkpoint, bytes)
}

/// Writes a packed folder beside its place and moves it there when it is whole.
fn packed(source: &Source, checkpoint: &Checkpoint, out: &Path, see: Progress<'_>) -> Result<()> {
    let taken = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file();
    ensure!(!taken, "{} exists already; name another place or remove it", out.display());
    let name = out.file_name().with_context(|| format!("{} is no name for a folder", out.display()))?;
    let draft = out.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let mut write = || -> Result<()> {
        write_packed_folder(checkpoint, &draft, see)?;
        companions(source, checkpoint, &draft)?;
        if out.is_dir() {
            fs::remove_dir(out).with_context(|| format!("cannot replace the empty {}", out.display()))?;
        }
        fs::rename(&draft, out).with_context(|| format!("cannot write {}", out.display()))
    };
    write().inspect_err(|_| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_dir_all(&draft);
    })
}

fn report(arguments: &Arguments, checkpoint: &Checkpoint, bytes: u64) -> Result<()> {
    let (out, read) = (arguments.out.display().to_string(), checkpoint.tensor_bytes());
    let peak = bitkv_bytes::peak_resident_bytes();
    if arguments.json {
        return output::json(&json!({
            "out": out, "tensor_bytes_read": read, "tensor_bytes_written": bytes, "peak_rss_bytes": peak,
        }));
    }
    let peak = peak.map_or(String::new(), |peak| format!(", {:.0} MB resident at most", peak as f64 / 1e6));
    let mega = |bytes: u64| bytes as f64 / 1e6;
    output::text(&format!("{out}: {:.1} MB from {:.1} MB{peak}\n", mega(bytes), mega(read)))
}

/// The tokenizer's vocabulary as GGUF files hold it; `None` if the model has no tokenizer.
fn gguf_vocabulary(source: &Source, checkpoint: &Checkpoint) -> Result<Option<gguf::Vocabulary>> {
    if let Some(gguf) = checkpoint.gguf() {
        return Ok(if gguf.has_vocabulary() { Some(gguf.vocabulary()?) } else { None });
    }
    let Some(tokenizer) = source.tokenizer(checkpoint)? else { return Ok(None) };
    let mut vocabulary =
        tokenizer.vocabulary().context("the tokenizer cannot be written into a GGUF file")?;
    let config = checkpoint.config();
    vocabulary.special.bos = vocabulary.special.bos.or(config.bos_token_id);
    vocabulary.special.eos = vocabulary.special.eos.or(config.eos_token_ids.first().copied());
    vocabulary.add_bos = vocabulary.add_bos.or(Some(vocabulary.special.bos.is_some()));
    Ok(Some(vocabulary::for_gguf(vocabulary, source.chat_template()?)))
}

/// Tokenizer and the like: copied from a folder, written from a GGUF file's vocabulary.
fn companions(source: &Source, checkpoint: &Checkpoint, out: &Path) -> Result<()> {
    if let Some(folder) = source.folder() {
        for name in COMPANIONS {
            let (from, to) = (folder.join(name), out.join(name));
            if from.is_file() {
                fs::copy(&from, &to)
                    .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
            }
        }
        return Ok(());
    }
    let Some(tokenizer) = source.tokenizer(checkpoint)? else { return Ok(()) };
    output::file(&out.join("tokenizer.json"), &tokenizer.to_json()?)?;
    let gguf = checkpoint.gguf().filter(|gguf| gguf.has_vocabulary());
    match gguf.map(gguf::Gguf::vocabulary).transpose()?.and_then(|vocabulary| vocabulary.chat_template) {
        Some(template) => {
            let config = tokenizer_config(&tokenizer, template, &checkpoint.file());
            output::file(&out.join("tokenizer_config.json"), &serde_json::to_vec_pretty(&config)?)
        }
        None => Ok(()),
    }
}

/// The chat template of a GGUF file, with the tokens that it names, as folders hold it.
fn tokenizer_config(tokenizer: &Tokenizer, template: String, file: &str) -> Value {
    // One that cannot be used here may be of use elsewhere.
    let template = Chat::from_gguf(&template, file, &[]).map_or(template, |chat| chat.template().into());
    let mut config = json!({"chat_template": template});
    let special = tokenizer.special_ids();
    for (key, id) in [("bos_token", special.bos), ("eos_token", special.eos)] {
        if let Some(token) = id.and_then(|id| tokenizer.token(id)) {
            config[key] = token.into();
        }
    }
    config
}
