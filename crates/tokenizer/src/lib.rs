//! Text to token ids and back, exactly as the model was trained.
//!
//! A [`Tokenizer`] comes from a `tokenizer.json`, from a `tokenizer.model` (SentencePiece as Llama 2 has it, or
//! tiktoken as Llama 3 has it) or from the [`Vocabulary`] of a GGUF file, and can be written back as one.
//! Two families are known, which is all that BitNet checkpoints use: byte-level BPE, and BPE over
//! SentencePiece's `▁` with bytes for what the pieces lack. The merging itself is done by the crate
//! `tokenizers`. A [`Chat`] turns messages into the text that a model was tuned on.

#![forbid(unsafe_code)]

mod assemble;
mod chat;
mod error;
mod export;
mod folder;
mod json;
mod merges;
mod pieces;
mod pre_tokenizer;
mod read_vocabulary;
mod save;
mod scores;
mod sentencepiece;
mod spelling;
mod stream;
mod tiktoken;
mod tokenizer;
mod vocabulary;
mod wire;

pub use chat::{Chat, Message};
pub use error::{Error, Result};
pub use stream::TextStream;
pub use tokenizer::{Options, Tokenizer};
pub use vocabulary::{SpecialIds, TokenType, Vocabulary};
