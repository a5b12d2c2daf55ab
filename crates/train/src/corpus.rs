//! Text as token ids, prepared once and shared by the models trained on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use tokenizers::Tokenizer;

use crate::{
    tasks::{self, Sequence},
    vocabulary::{self, EOS_ID},
};
use bitkv_stats::Rng;

/// Separates documents in the text files.
const SEPARATOR: &str = "<|endoftext|>";
/// Bytes encoded as one piece: long pieces are slow to encode.
const PIECE: usize = 8192;

/// Tokens of the training and validation text and the tokenizer that made them.
#[derive(Debug)]
pub struct Corpus {
    /// The byte-level BPE.
    pub tokenizer: Tokenizer,
    /// Training tokens; documents end with the end-of-sequence token.
    pub train: Vec<u16>,
    /// Validation tokens.
    pub valid: Vec<u16>,
    /// Bytes of text each token stands for.
    pub token_bytes: Vec<u32>,
}

impl Corpus {
    /// Reads the prepared data in `prepared`, or prepares it from `train.txt` and `valid.txt` in `folder`.
    pub fn open(folder: &Path, prepared: &Path, vocabulary: usize) -> Result<Corpus> {
        let file = |name: &str| prepared.join(name);
        if !file("tokenizer.json").exists() {
            prepare(folder, prepared, vocabulary)?;
        }
        let tokenizer = Tokenizer::from_file(file("tokenizer.json"))
            .map_err(|e| anyhow!("cannot read {}: {e}", file("tokenizer.json").display()))?;
        let found = tokenizer.get_vocab_size(true);
        ensure!(
            found == vocabulary,
            "{} holds {found} tokens, the recipe wants {vocabulary}: prepare into another folder",
            file("tokenizer.json").display()
        );
        let token_bytes = vocabulary::token_bytes(&tokenizer);
        Ok(Corpus {
            tokenizer,
            train: load(&file("train.bin"))?,
            valid: load(&file("valid.bin"))?,
            token_bytes,
        })
    }

    /// Whether it holds more than `length` tokens of either kind.
    pub fn covers(&self, length: usize) -> Result<()> {
        for (name, tokens) in [("train.txt", &self.train), ("valid.txt", &self.valid)] {
            ensure!(
                tokens.len() > length,
                "{name} has {} tokens and windows of {length} are wanted: add text",
                tokens.len()
            );
        }
        Ok(())
    }

    /// A random training window of `length` tokens.
    pub fn window(&self, rng: &mut Rng, length: usize) -> Sequence {
        let at = rng.below(self.train.len() - length);
        tasks::text(&self.train[at..at + length])
    }

    /// `count` equally spaced validation windows of `length` tokens.
    pub fn validation(&self, count: usize, length: usize) -> Vec<Sequence> {
        let step = (self.valid.len() - length) / count.max(1);
        (0..count).map(|i| tasks::text(&self.valid[i * step..i * step + length])).collect()
    }
}

fn prepare(folder: &Path, prepared: &Path, vocabulary: usize) -> Result<()> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read the corpus file {}", path.display()))
    };
    let (train, valid) = (read("train.txt")?, read("valid.txt")?);
    fs::create_dir_all(prepared).with_context(|| format!("cannot create {}", prepared.display()))?;
    let tokenizer = vocabulary::train(&split(&train), vocabulary)?;
    for (name, text) in [("train.bin", &train), ("valid.bin", &valid)] {
        let tokens = encode(&tokenizer, text)?;
        ensure!(tokens.len() > 4096, "{name}: only {} tokens of text: add more", tokens.len());
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        fs::write(prepared.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    // Last, because its presence says that the rest is there.
    let path = prepared.join("tokenizer.json");
    tokenizer.save(&path, false).map_err(|e| anyhow!("cannot write {}: {e}", path.display()))
}

fn split(text: &str) -> Vec<&str> {
    text.split(SEPARATOR).map(|d| d.trim_matches('\n')).filter(|d| !d.is_empty()).collect()
}

/// Token ids of a text of several documents.
fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u16>> {
    let mut tokens = Vec::new();
    for document in split(text) {
        let encoded = tokenizer.encode_batch(pieces(document), false).map_err(|e| anyhow!(e))?;
        for piece in encoded {
            tokens.extend(piece.get_ids().iter().map(|&id| id as u16));
        }
        tokens.push(EOS_ID as u16);
    }
    Ok(tokens)
}

/// Cuts a document at line ends, so that no token is torn.
fn pieces(document: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    for line in document.split_inclusive('\n') {
        at += line.len();
        if at - start >= PIECE {
            pieces.push(&document[start..at]);
            start = at;
        }
    }
    pieces.push(&document[start..]);
    pieces
}

fn load(path: &PathBuf) -> Result<Vec<u16>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
}
