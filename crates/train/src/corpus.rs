//! The corpus: text as token ids, prepared once and shared by all models that are trained on it.

use std::{collections::HashSet, path::Path};

use bitkv_bytes::disk;
use tokenizers::Tokenizer;

use crate::{
    Error, Result,
    data_hashes::{DataHashes, read_checked, sha256},
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
/// The largest number of bytes without white space.
const LONGEST_WORD: usize = 1 << 16;
/// The fewest different words of a text. The tasks need as many.
const LEAST_WORDS: usize = 64;
/// The name of the tokenizer in the folder of the prepared data.
const TOKENIZER: &str = "tokenizer.json";

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
    /// The hashes of the texts and of the prepared files.
    pub(crate) hashes: DataHashes,
}

impl Corpus {
    /// Reads the prepared data in `prepared`, or prepares it there from `train.txt` and `valid.txt` in
    /// `folder`. If a text is in `folder`, it must be the one that the data was prepared from.
    ///
    /// # Errors
    /// Fails if a file cannot be read or written, was changed after it was prepared, a text is too short, or
    /// the vocabulary has another size.
    pub fn open(folder: &Path, prepared: &Path, vocabulary: usize) -> Result<Corpus> {
        let hashes = match DataHashes::read(prepared)? {
            Some(hashes) => hashes,
            None => prepare(folder, prepared, vocabulary)?,
        };
        hashes.check_texts(folder, prepared)?;
        let path = prepared.join(TOKENIZER);
        let bytes = read_checked(prepared, TOKENIZER, &hashes.tokenizer)?;
        let tokenizer = Tokenizer::from_bytes(bytes)
            .map_err(|source| Error::ReadTokenizer { path: path.clone(), source })?;
        let found = tokenizer.get_vocab_size(true);
        if found != vocabulary {
            return Err(Error::Vocabulary { path, found, wanted: vocabulary });
        }
        let token_bytes = vocabulary::token_bytes(&tokenizer);
        let train = tokens(&read_checked(prepared, "train.bin", &hashes.train_tokens)?);
        let valid = tokens(&read_checked(prepared, "valid.bin", &hashes.valid_tokens)?);
        Ok(Corpus { tokenizer, train, valid, token_bytes, hashes })
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

/// Trains the tokenizer and writes the tokens of both texts. Returns the hashes of all of them.
fn prepare(folder: &Path, prepared: &Path, vocabulary: usize) -> Result<DataHashes> {
    let read = |name: &str| {
        let path = folder.join(name);
        bitkv_bytes::read_written_document(&path, bitkv_bytes::limit::CORPUS).map_err(Error::reading(path))
    };
    let (train, valid) = (read("train.txt")?, read("valid.txt")?);
    check_words("train.txt", &train)?;
    check_words("valid.txt", &valid)?;
    disk::create_folders(prepared).map_err(Error::creating(prepared))?;
    let write = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = prepared.join(name);
        bitkv_bytes::write(&path, bytes).map_err(Error::writing(path))?;
        Ok(sha256(bytes))
    };
    let tokenizer = vocabulary::train(&split_documents(&train), vocabulary)?;
    // All errors about the tokens come before any file is written.
    let bytes = |file, text: &str| -> Result<Vec<u8>> {
        let tokens = encode(&tokenizer, text)?;
        check_token_count(file, tokens.len(), MIN_TOKENS)?;
        Ok(tokens.iter().flat_map(|t| t.to_le_bytes()).collect())
    };
    let (train_bytes, valid_bytes) = (bytes("train.txt", &train)?, bytes("valid.txt", &valid)?);
    let path = prepared.join(TOKENIZER);
    let text = tokenizer.to_string(false).map_err(Error::writing(path))?;
    let hashes = DataHashes {
        train_text: sha256(train.as_bytes()),
        valid_text: sha256(valid.as_bytes()),
        train_tokens: write("train.bin", &train_bytes)?,
        valid_tokens: write("valid.bin", &valid_bytes)?,
        tokenizer: write(TOKENIZER, text.as_bytes())?,
    };
    hashes.write(prepared)?;
    Ok(hashes)
}

/// Checks before the tokenizer is trained that a text has words. Training on one long word takes hours.
fn check_words(file: &'static str, text: &str) -> Result<()> {
    let longest = text.split_whitespace().map(str::len).max().unwrap_or(0);
    if longest > LONGEST_WORD {
        return Err(Error::LongWord { file, found: longest, most: LONGEST_WORD });
    }
    let mut words = HashSet::new();
    let enough = text.split_whitespace().any(|word| {
        words.insert(word);
        words.len() >= LEAST_WORDS
    });
    match enough {
        true => Ok(()),
        false => Err(Error::SameWords { file, found: words.len(), needed: LEAST_WORDS }),
    }
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

/// Returns the token ids of 16 bits in `bytes`.
fn tokens(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
}
