//! The corpus: text as token ids, prepared once and shared by all models that are trained on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokenizers::Tokenizer;

use crate::{
    Error, Result,
    tasks::{self, TrainingSequence},
    vocabulary::{self, EOS_ID},
};
use bitkv_stats::Rng;

/// A training or validation text must have more than this number of tokens.
const MIN_TOKENS: usize = 4096;
/// The text that separates documents in the text files.
const SEPARATOR: &str = "<|endoftext|>";
/// The size in bytes of the pieces in which a text is encoded. Long pieces are slow to encode.
const PIECE: usize = 8192;

/// The tokens of the training and the validation text, and the tokenizer that made them.
#[derive(Debug)]
pub struct Corpus {
    /// The byte-level BPE tokenizer.
    pub tokenizer: Tokenizer,
    /// Training tokens. Each document ends with the end-of-sequence token.
    pub train: Vec<u16>,
    /// Validation tokens.
    pub valid: Vec<u16>,
    /// The length in bytes of the text of each token, `[vocabulary]`.
    pub token_bytes: Vec<u32>,
}

impl Corpus {
    /// Reads the prepared data in `prepared`, or prepares it there from `train.txt` and `valid.txt` in
    /// `folder`.
    ///
    /// # Errors
    /// Fails if a file cannot be read or written, a text is too short, or the vocabulary has another size.
    pub fn open(folder: &Path, prepared: &Path, vocabulary: usize) -> Result<Corpus> {
        let file = |name: &str| prepared.join(name);
        if !file("tokenizer.json").exists() {
            prepare(folder, prepared, vocabulary)?;
        }
        let tokenizer = Tokenizer::from_file(file("tokenizer.json"))
            .map_err(|source| Error::ReadTokenizer { path: file("tokenizer.json"), source })?;
        let found = tokenizer.get_vocab_size(true);
        if found != vocabulary {
            return Err(Error::Vocabulary { path: file("tokenizer.json"), found, wanted: vocabulary });
        }
        let token_bytes = vocabulary::token_bytes(&tokenizer);
        Ok(Corpus {
            tokenizer,
            train: read_tokens(&file("train.bin"))?,
            valid: read_tokens(&file("valid.bin"))?,
            token_bytes,
        })
    }

    /// Checks that the training and the validation text each have more than `length` tokens.
    ///
    /// # Errors
    /// Fails if one of them has at most `length` tokens.
    pub fn check_length(&self, length: usize) -> Result<()> {
        for (name, tokens) in [("train.txt", &self.train), ("valid.txt", &self.valid)] {
            check_token_count(name, tokens.len(), length)?;
        }
        Ok(())
    }

    /// Returns a random training window of `length` tokens.
    pub fn random_window(&self, rng: &mut Rng, length: usize) -> TrainingSequence {
        let position = rng.below(self.train.len() - length);
        tasks::text(&self.train[position..position + length])
    }

    /// Returns `count` equally spaced validation windows of `length` tokens.
    pub fn validation_windows(&self, count: usize, length: usize) -> Vec<TrainingSequence> {
        let step = (self.valid.len() - length) / count.max(1);
        (0..count).map(|i| tasks::text(&self.valid[i * step..i * step + length])).collect()
    }
}

/// Trains the tokenizer and writes the tokens of both texts.
fn prepare(folder: &Path, prepared: &Path, vocabulary: usize) -> Result<()> {
    let read = |name: &str| {
        let path = folder.join(name);
        bitkv_bytes::read_written_document(&path, bitkv_bytes::limit::CORPUS).map_err(Error::reading(path))
    };
    let (train, valid) = (read("train.txt")?, read("valid.txt")?);
    fs::create_dir_all(prepared).map_err(Error::creating(prepared))?;
    let tokenizer = vocabulary::train(&split_documents(&train), vocabulary)?;
    for (file, name, text) in [("train.txt", "train.bin", &train), ("valid.txt", "valid.bin", &valid)] {
        let tokens = encode(&tokenizer, text)?;
        check_token_count(file, tokens.len(), MIN_TOKENS)?;
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        let path = prepared.join(name);
        bitkv_bytes::write(&path, &bytes).map_err(Error::writing(path))?;
    }
    // The tokenizer is written last, because its presence means that the other files are complete.
    let path = prepared.join("tokenizer.json");
    tokenizer.save(&path, false).map_err(Error::writing(path))
}

/// Checks that the text of `file` has more than `most` tokens.
fn check_token_count(file: &'static str, found: usize, most: usize) -> Result<()> {
    match found > most {
        true => Ok(()),
        false => Err(Error::ShortText { file, found, needed: most + 1 }),
    }
}

/// Splits a text into its documents.
fn split_documents(text: &str) -> Vec<&str> {
    text.split(SEPARATOR).map(|d| d.trim_matches('\n')).filter(|d| !d.is_empty()).collect()
}

/// Returns the token ids of a text of several documents.
fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u16>> {
    let mut tokens = Vec::new();
    for document in split_documents(text) {
        let encoded =
            tokenizer.encode_batch(pieces(document), false).map_err(|source| Error::Encode { source })?;
        for piece in encoded {
            tokens.extend(piece.get_ids().iter().map(|&id| id as u16));
        }
        tokens.push(EOS_ID as u16);
    }
    Ok(tokens)
}

/// Splits a document at line ends, so that no token is split.
fn pieces(document: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut position) = (Vec::new(), 0, 0);
    for line in document.split_inclusive('\n') {
        position += line.len();
        if position - start >= PIECE {
            pieces.push(&document[start..position]);
            start = position;
        }
    }
    pieces.push(&document[start..]);
    pieces
}

/// Reads token ids of 16 bits.
fn read_tokens(path: &PathBuf) -> Result<Vec<u16>> {
    let bytes = bitkv_bytes::read_bytes(path, bitkv_bytes::limit::CORPUS).map_err(Error::reading(path))?;
    Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
}
