//! Converts text to token ids and back, exactly as the model was trained.
//!
//! A [`Tokenizer`] is read from a `tokenizer.json`, from a `tokenizer.model` (the SentencePiece format of
//! Llama 2, or the tiktoken format of Llama 3), or from the [`Vocabulary`] of a GGUF file, and can be
//! exported as such a vocabulary. It supports the two families that BitNet checkpoints use: byte-level BPE,
//! and the BPE of SentencePiece, which writes `▁` for a space and has byte tokens for characters without a
//! piece. The crate `tokenizers` does the merging. A [`TextStream`] decodes ids as they are generated, and a
//! [`Chat`] turns messages into text in the format on which a model was tuned.
//!
//! [`Tokenizer::encode`] adds the [`SpecialTokens`] for which the files of a model ask, and
//! [`Tokenizer::encode_bare`] adds nothing.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod assemble;
mod chat;
mod content;
mod error;
mod export;
mod folder;
mod growth;
mod guard;
mod json;
mod merges;
mod passages;
mod pieces;
mod pre_tokenizer;
mod read_vocabulary;
mod save;
mod scores;
mod sentencepiece;
mod settings;
mod special_tokens;
mod spelling;
mod splitter;
mod stream;
mod tiktoken;
mod tokenizer;
mod transformers;
mod vocabulary;
mod wire;

pub use chat::{Chat, Message};
pub use error::{Error, Result};
pub use special_tokens::SpecialTokens;
pub use stream::TextStream;
pub use tokenizer::{Tokenizer, TokenizerOptions};
pub use vocabulary::{SpecialIds, TokenType, Vocabulary};
