//! The largest files of each kind that are read as a whole, in bytes. Each limit is many times the largest
//! published file, and is checked before any memory is reserved.

/// `config.json`, `generation_config.json`, `tokenizer_config.json` and the older files of tokens.
pub const SETTINGS: u64 = 16 << 20;
/// The values of a JSON document that is kept as a tree of values; see [`crate::check_values`].
pub const VALUES: usize = 200_000;
/// `tokenizer.json` and `tokenizer.model`.
pub const TOKENIZER: u64 = 256 << 20;
/// `chat_template.jinja`.
pub const CHAT_TEMPLATE: u64 = 1 << 20;
/// The index of the shards of a checkpoint.
pub const INDEX: u64 = 64 << 20;
/// A definition of experiments, or a recipe for training.
pub const DEFINITION: u64 = 4 << 20;
/// A text to read or to measure on.
pub const TEXT: u64 = 16 << 20;
/// The text of a corpus for training.
pub const CORPUS: u64 = 4 << 30;
/// A JSON array of token ids.
pub const TOKENS: u64 = 16 << 20;
/// Numbers about heads: profiles, scores and patterns.
pub const HEADS: u64 = 16 << 20;
/// A document that bitkv wrote, such as a manifest.
pub const WRITTEN: u64 = 64 << 20;
/// Tensors that a user gives to `plan`.
pub const TENSORS: u64 = 64 << 30;
/// A file of rows, which grows with its run.
pub const ROWS: u64 = 16 << 30;
/// A file of one line, such as a token of the hub.
pub const LINE: u64 = 64 << 10;
