//! Reads SentencePiece's `tokenizer.model`, the format of Llama 2.

use crate::{
    Error, Result, SpecialIds, TokenType, Tokenizer, TokenizerOptions, Vocabulary,
    wire::{Fields, Value},
};

impl Tokenizer {
    /// Reads a SentencePiece model of the kind that Llama 2 uses: BPE that does not normalise the text.
    /// Errors name `file`.
    ///
    /// This follows the "legacy" behaviour of Hugging Face, which llama.cpp shares: a space is put before the
    /// text and after every special token in it.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, its model is not BPE, it changes texts in other ways, or an
    /// id is outside the vocabulary of the language model.
    pub fn from_sentencepiece_bytes(
        bytes: &[u8],
        file: &str,
        options: &TokenizerOptions,
    ) -> Result<Tokenizer> {
        Tokenizer::from_vocabulary(vocabulary(bytes, file)?, file, options)
    }
}

/// Reads a `ModelProto`. The field numbers are those of `sentencepiece_model.proto`.
pub(crate) fn vocabulary(bytes: &[u8], file: &str) -> Result<Vocabulary> {
    let mut read = Vocabulary { model: "llama".into(), ..Vocabulary::default() };
    let mut trainer = Trainer::default();
    let mut normalizer = Normalizer::default();
    let mut fields = Fields::new(bytes);
    loop {
        let at = bytes.len() - fields.left();
        let field = match fields.next() {
            None => break,
            Some(Ok((number, Value::Bytes(message)))) => match number {
                1 => piece(message, &mut read),
                2 => trainer.read(message),
                3 => normalizer.read(message),
                _ => Some(()),
            },
            Some(Ok(_)) => Some(()),
            Some(Err(())) => None,
        };
        field.ok_or_else(|| {
            let reason =
                format!("it is not a SentencePiece model, or it is truncated or damaged, at byte {at}");
            Error::tokenizer(file, reason)
        })?;
    }
    trainer.check(file)?;
    normalizer.check(file)?;
    let [unk, bos, eos, pad] = trainer.ids.map(|id| u32::try_from(id?).ok());
    read.special = SpecialIds { bos, eos, unk, pad };
    read.add_space_prefix = Some(normalizer.dummy_prefix);
    Ok(read)
}

/// Adds a `SentencePiece` to the vocabulary; returns `None` if it is damaged.
fn piece(message: &[u8], vocabulary: &mut Vocabulary) -> Option<()> {
    let (mut text, mut score, mut kind) = ("", 0.0, TokenType::Normal as u64);
    for field in Fields::new(message) {
        match field.ok()? {
            (1, Value::Bytes(bytes)) => text = std::str::from_utf8(bytes).ok()?,
            (2, Value::Fixed32(bytes)) => score = f32::from_le_bytes(bytes),
            (3, Value::Varint(value)) => kind = value,
            _ => {}
        }
    }
    let kind = TokenType::from_code(i32::try_from(kind).ok()?)?;
    vocabulary.tokens.push(text.into());
    vocabulary.scores.push(score);
    vocabulary.token_types.push(kind as i32);
    Some(())
}

/// The fields of `TrainerSpec` that matter, with their defaults.
struct Trainer {
    model_type: u64,
    space_as_suffix: bool,
    /// The ids of the unknown, first, last and padding tokens. The padding id is usually -1, which means that
    /// there is no such token.
    ids: [Option<u64>; 4],
}

impl Default for Trainer {
    fn default() -> Self {
        Trainer { model_type: 1, space_as_suffix: false, ids: [Some(0), Some(1), Some(2), None] }
    }
}

impl Trainer {
    /// Reads the fields; returns `None` if the message is damaged.
    fn read(&mut self, message: &[u8]) -> Option<()> {
        for field in Fields::new(message) {
            match field.ok()? {
                (3, Value::Varint(value)) => self.model_type = value,
                (24, Value::Varint(value)) => self.space_as_suffix = value != 0,
                (number @ 40..=43, Value::Varint(id)) => self.ids[(number - 40) as usize] = Some(id),
                _ => {}
            }
        }
        Some(())
    }

    /// Checks that the model is BPE and writes spaces before words.
    fn check(&self, file: &str) -> Result<()> {
        if self.model_type != 2 {
            let names = ["none", "unigram", "BPE", "word", "char"];
            let kind = usize::try_from(self.model_type).ok().and_then(|kind| names.get(kind));
            let name = kind.map_or_else(|| self.model_type.to_string(), |name| name.to_string());
            return Err(Error::unsupported(file, "model type", name, "BPE, as Llama 2 has it"));
        }
        if self.space_as_suffix {
            let reason = "it writes spaces after words (`treat_whitespace_as_suffix`)";
            return Err(Error::tokenizer(file, reason));
        }
        Ok(())
    }
}

/// The fields of `NormalizerSpec` that matter, with their defaults.
struct Normalizer {
    name: String,
    changes: bool,
    dummy_prefix: bool,
    remove_spaces: bool,
    escape_spaces: bool,
}

impl Default for Normalizer {
    fn default() -> Self {
        let name = String::new();
        Normalizer { name, changes: false, dummy_prefix: true, remove_spaces: true, escape_spaces: true }
    }
}

impl Normalizer {
    /// Reads the fields; returns `None` if the message is damaged.
    fn read(&mut self, message: &[u8]) -> Option<()> {
        for field in Fields::new(message) {
            match field.ok()? {
                (1, Value::Bytes(name)) => self.name = std::str::from_utf8(name).ok()?.into(),
                (2 | 6, Value::Bytes(rules)) => self.changes |= !rules.is_empty(),
                (3, Value::Varint(value)) => self.dummy_prefix = value != 0,
                (4, Value::Varint(value)) => self.remove_spaces = value != 0,
                (5, Value::Varint(value)) => self.escape_spaces = value != 0,
                _ => {}
            }
        }
        Some(())
    }

    /// Checks that the model does not change texts, except that it writes `▁` for a space.
    fn check(&self, file: &str) -> Result<()> {
        let unsupported = |name: &str| {
            let known = "identity, with spaces kept and written as `▁`";
            Err(Error::unsupported(file, "normalizer", name, known))
        };
        match self {
            Normalizer { changes: true, .. } => unsupported(&self.name),
            Normalizer { remove_spaces: true, .. } => unsupported("remove_extra_whitespaces"),
            Normalizer { escape_spaces: false, .. } => unsupported("escape_whitespaces = false"),
            _ => Ok(()),
        }
    }
}
