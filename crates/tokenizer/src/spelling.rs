//! The ways in which the two families of tokenizers write the bytes of a token as characters.

use serde_json::Value;

use crate::{Error, Result};

/// The character that SentencePiece writes for a space, U+2581.
pub(crate) const SPACE: char = '▁';

/// The way in which a family of tokenizers writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// One character per byte, as in GPT-2. Printable bytes are written as themselves.
    ByteLevel,
    /// `▁` for a space and `<0xNN>` for a byte. With `strip`, decoding drops one space at the start of a
    /// text, which encoding has put there.
    SentencePiece { strip: bool },
}

impl Spelling {
    /// Appends the bytes of a token to `out`. A byte-level token with a character that does not represent a
    /// byte is taken literally, as Hugging Face does.
    pub(crate) fn write(self, token: &str, out: &mut Vec<u8>) {
        match self {
            Spelling::ByteLevel => {
                let start = out.len();
                for c in token.chars() {
                    let Some(byte) = byte_of(c) else {
                        out.truncate(start);
                        return out.extend(token.as_bytes());
                    };
                    out.push(byte);
                }
            }
            Spelling::SentencePiece { .. } => match byte_piece(token) {
                Some(byte) => out.push(byte),
                None => out.extend(token.replace(SPACE, " ").as_bytes()),
            },
        }
    }

    /// Returns whether decoding drops the first space of a text.
    pub(crate) fn strips(self) -> bool {
        self == Spelling::SentencePiece { strip: true }
    }

    /// Returns the spelling of a `tokenizer.json`. It follows from the decoder or, without a decoder, from
    /// the normalizer and the pre-tokenizer.
    pub(crate) fn new(
        file: &str,
        decoder: &Value,
        pre_tokenizer: &Value,
        normalizer: &Value,
    ) -> Result<Self> {
        let steps = steps(decoder);
        let has_step = |kind: &str| steps.iter().any(|step| step["type"] == kind);
        if steps.is_empty() {
            return Self::without_decoder(file, pre_tokenizer, normalizer);
        }
        if has_step("ByteLevel") {
            return Ok(Spelling::ByteLevel);
        }
        let strip = steps.iter().any(|step| strips(step) || prepends(step));
        match steps.iter().find(|step| !decodes_sentencepiece(step)) {
            None if has_step("Replace") || has_step("Metaspace") => Ok(Spelling::SentencePiece { strip }),
            odd => Err(unknown(file, odd.unwrap_or(&decoder))),
        }
    }

    /// Returns the spelling of a `tokenizer.json` without a decoder.
    fn without_decoder(file: &str, pre_tokenizer: &Value, normalizer: &Value) -> Result<Self> {
        let encoders = [steps(normalizer), steps(pre_tokenizer)].concat();
        if encoders.iter().any(|step| step["type"] == "ByteLevel") {
            return Ok(Spelling::ByteLevel);
        }
        if encoders.iter().any(|step| step["type"] == "Metaspace" || replaces_spaces(step)) {
            let strip = encoders.iter().any(|step| prepends(step));
            return Ok(Spelling::SentencePiece { strip });
        }
        Err(unknown(file, &Value::Null))
    }
}

/// Returns the error for a decoder that is not supported.
fn unknown(file: &str, step: &Value) -> Error {
    let name = step["type"].as_str().map_or_else(|| step.to_string(), String::from);
    let known = "ByteLevel, Metaspace, and Replace of `▁` with ByteFallback, Fuse and Strip";
    Error::unsupported(file, "decoder", name, known)
}

/// Returns the steps of a part of a `tokenizer.json`. Nested sequences are flattened, and `null` has no
/// steps.
pub(crate) fn steps(part: &Value) -> Vec<&Value> {
    let inner = ["decoders", "pretokenizers", "normalizers"].iter().find_map(|key| part[*key].as_array());
    match inner {
        _ if part.is_null() => Vec::new(),
        Some(parts) if part["type"] == "Sequence" => parts.iter().flat_map(steps).collect(),
        _ => vec![part],
    }
}

/// Returns whether a step writes `▁` for spaces.
pub(crate) fn replaces_spaces(step: &Value) -> bool {
    step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁"
}

/// Returns whether a step puts a space before a text.
pub(crate) fn prepends(step: &Value) -> bool {
    match step["type"].as_str() {
        Some("Prepend") => step["prepend"] == "▁",
        Some("Metaspace") => step["prepend_scheme"] != "never" && step["add_prefix_space"] != false,
        _ => false,
    }
}

/// Returns whether a step drops one space at the start.
fn strips(step: &Value) -> bool {
    step["type"] == "Strip" && step["content"] == " " && step["start"] == 1
}

/// Returns whether a step is part of a SentencePiece decoder.
fn decodes_sentencepiece(step: &Value) -> bool {
    match step["type"].as_str() {
        Some("ByteFallback" | "Fuse") => true,
        Some("Replace") => step["pattern"]["String"] == "▁" && step["content"] == " ",
        Some("Strip") => strips(step) && step["stop"] == 0,
        Some("Metaspace") => step["replacement"] == "▁",
        _ => false,
    }
}

/// Returns the byte that a piece like `<0x0A>` represents.
pub(crate) fn byte_piece(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// Returns the character that byte-level tokenizers write for a byte (`bytes_to_unicode` of GPT-2).
pub(crate) fn char_of(byte: u8) -> char {
    let shown = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if shown(byte) {
        return char::from(byte);
    }
    // The other bytes are written as the characters from U+0100 on, in order.
    let before = (0..byte).filter(|b| !shown(*b)).count() as u32;
    char::from_u32(0x100 + before).expect("at most U+0143")
}

/// Returns the byte that a character of a byte-level token represents.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ (0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) => u8::try_from(code).ok(),
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 0x7F).ok(),
        0x143 => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character() {
        let spelt: Vec<char> = (0..=255).map(char_of).collect();
        for (byte, c) in spelt.iter().enumerate() {
            assert_eq!(byte_of(*c), u8::try_from(byte).ok(), "{c}");
        }
        let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        assert_eq!(alphabet, spelt.iter().copied().collect());
        assert_eq!((char_of(b' '), char_of(b'\n')), ('Ġ', 'Ċ'));
        let others = (0..0x2000).filter_map(char::from_u32).filter(|c| !spelt.contains(c));
        assert!(others.map(byte_of).all(|byte| byte.is_none()));
    }

    #[test]
    fn byte_pieces_are_two_hexadecimal_digits() {
        assert_eq!((byte_piece("<0x0A>"), byte_piece("<0xe4>")), (Some(10), Some(0xE4)));
        for piece in ["<0xA>", "<0x+1>", "<0x00A>", "0x0A", "<0x0A", "<0xGG>"] {
            assert_eq!(byte_piece(piece), None, "{piece}");
        }
    }
}
