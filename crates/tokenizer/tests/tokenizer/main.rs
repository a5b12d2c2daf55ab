//! Tokenizers of both families, from every kind of file, against others that do the same.

mod byte_level;
mod chat;
mod corpus;
mod export;
mod folder;
mod gguf;
mod hostile;
mod model_file;
mod published;
mod reference;
mod sentencepiece;
mod stream;
