//! The vocabulary of a GGUF file.

/// The metadata `tokenizer.ggml.*` of a GGUF file. Each list has one entry per token, by id, or is empty;
/// `merges` has one entry per merge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: `gpt2` for byte-level BPE, `llama` for SentencePiece's BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`: the pre-tokenizer, which splits a text before merging. Used by `gpt2` only.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`: the token with the best score is merged first. Used by `llama` only.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`, see [`TokenType`]. If the list is empty, all tokens are normal.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`: two tokens with a space between. Used by `gpt2` only.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id` and so on.
    pub special: SpecialIds,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`. Used by `llama` only, where `None` means true.
    pub add_space_prefix: Option<bool>,
}

/// The ids that have a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// The token that starts a sequence.
    pub bos: Option<u32>,
    /// The token that ends a sequence.
    pub eos: Option<u32>,
    /// The token for text that the vocabulary cannot represent.
    pub unk: Option<u32>,
    /// The token that fills the rows of a batch.
    pub pad: Option<u32>,
}

/// The types of tokens, as SentencePiece and GGUF number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    /// A piece of text.
    Normal = 1,
    /// The token for text that the vocabulary cannot represent.
    Unknown = 2,
    /// A special token, which has no text.
    Control = 3,
    /// A piece of text that always becomes this one token.
    UserDefined = 4,
    /// An id without a meaning.
    Unused = 5,
    /// A byte, written like `<0x0A>`.
    Byte = 6,
}

impl TokenType {
    /// Returns the type with this number.
    pub(crate) fn from_code(code: i32) -> Option<TokenType> {
        use TokenType::*;
        [Normal, Unknown, Control, UserDefined, Unused, Byte].into_iter().find(|kind| *kind as i32 == code)
    }
}
