//! The vocabulary of a GGUF file.

/// What the metadata `tokenizer.ggml.*` of a GGUF file say. Each list has one entry a token, by id, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: `gpt2` for byte-level BPE, `llama` for SentencePiece's BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`, how a text is cut before merging. Only `gpt2` has use for it.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`, the best one to be made first. Only `llama` has use for them.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`, see [`TokenType`]; all are normal if there are none.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`, two tokens with a space between. Only `gpt2` has use for them.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id` and so on.
    pub special: SpecialIds,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`, for `llama` only, which does if it is not said.
    pub add_space_prefix: Option<bool>,
}

/// Ids with a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// Starts a sequence.
    pub bos: Option<u32>,
    /// Ends a sequence.
    pub eos: Option<u32>,
    /// Stands for what the vocabulary cannot say.
    pub unk: Option<u32>,
    /// Fills up a batch.
    pub pad: Option<u32>,
}

/// Kinds of tokens, as SentencePiece and GGUF number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    /// Text.
    Normal = 1,
    /// Stands for what the vocabulary cannot say.
    Unknown = 2,
    /// A special token, which is no text.
    Control = 3,
    /// Text that is always one token.
    UserDefined = 4,
    /// An id that means nothing.
    Unused = 5,
    /// A byte, written `<0x0A>`.
    Byte = 6,
}

impl TokenType {
    pub(crate) fn from_code(code: i32) -> Option<TokenType> {
        use TokenType::*;
        [Normal, Unknown, Control, UserDefined, Unused, Byte].into_iter().find(|kind| *kind as i32 == code)
    }
}
