//! The reasons why the header of a GGUF file cannot be read.

/// What is wrong with a header. The message is a clause with the remedy, to which the caller adds the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("it does not begin with the letters GGUF: give a .gguf file or a model's folder")]
    Magic,
    #[error("it is big-endian: convert it to little-endian")]
    BigEndian,
    #[error("its version is {0}, but only versions 2 and 3 are supported: convert it again")]
    Version(u32),
    #[error(
        "its header claims {found} {what}, and at most {most} are read, so it is damaged: download it again"
    )]
    TooMany { found: u64, what: &'static str, most: u64 },
    #[error("it ends inside its header, so it is truncated: download it again")]
    Truncated,
    #[error(
        "a length in its header claims {count} items of {size} bytes, but only {remaining} bytes remain: download it again"
    )]
    Block { count: u64, size: usize, remaining: u64 },
    #[error("an array claims {count} strings, but only {remaining} bytes remain: download it again")]
    Strings { count: u64, remaining: u64 },
    #[error("a string in its header is not UTF-8: download it again")]
    NotUtf8,
    #[error("a value has the unknown type {0}: download it again")]
    UnknownType(u32),
    #[error("an array holds arrays, which no known model needs: convert it again")]
    NestedArray,
    #[error("an item has the wrong type, so it is damaged: download it again")]
    WrongItemType,
    #[error("`{key}` is {value}, but must be a power of two: convert it again")]
    NotAPowerOfTwo { key: &'static str, value: String },
    #[error("at the key `{key}`, {reason}")]
    AtKey { key: String, reason: Box<Damage> },
    #[error("in `{key}`, {reason}")]
    InArray { key: &'static str, reason: Box<Damage> },
    #[error("the key `{key}` appears twice, so it is damaged: download it again")]
    DuplicateKey { key: String },
    #[error("tensor `{tensor}` {reason}")]
    Tensor { tensor: String, reason: Box<Damage> },
    #[error("appears twice, so it is damaged: download it again")]
    DuplicateTensor,
    #[error("has {found} dimensions, but at most {most} are supported: download it again")]
    Dimensions { found: u32, most: u32 },
    #[error("has a dimension of {0}, so it is damaged: download it again")]
    Dimension(i64),
    #[error("begins at {offset}, which is not a multiple of {alignment}: download it again")]
    Unaligned { offset: u64, alignment: u64 },
    #[error("shares bytes with `{other}`, so it is damaged: download it again")]
    Shared { other: String },
    #[error("ends at {end}, but its data ends at {has}, so it is truncated: download it again")]
    TooLong { end: u64, has: usize },
    #[error("is larger than any memory, so it is damaged: download it again")]
    TooLarge,
    #[error("has rows of {row}, but {coding} stores blocks of {block}, so it is damaged: download it again")]
    BrokenBlock { row: u64, coding: String, block: usize },
}

impl Damage {
    /// Adds the name of the tensor that is damaged.
    pub(super) fn in_tensor(self, tensor: &str) -> Damage {
        Damage::Tensor { tensor: tensor.into(), reason: Box::new(self) }
    }
}
