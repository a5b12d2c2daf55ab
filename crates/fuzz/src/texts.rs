//! Tokenizers and chat templates.

use bitkv_tokenizer::{Chat, Message, Tokenizer, TokenizerOptions};

use crate::accepted;

/// A text with letters, digits, spaces, line breaks, and characters of several bytes.
const TEXT: &str = "aaaaaaaaaaaaaaaaaaaaaaaa! The house, 12 years later:\n\n\tnaïve 中文 🙂\u{301}";

/// Reads a tokenizer, and encodes and decodes a text.
pub(crate) fn tokenizer(bytes: &[u8]) {
    let options = TokenizerOptions { bos: None, vocab_size: 4096 };
    let Some(tokenizer) = accepted(Tokenizer::from_json_bytes(bytes, "tokenizer.json", &options)) else {
        return;
    };
    for text in [TEXT, "", " "] {
        if let Some(ids) = accepted(tokenizer.encode(text)) {
            accepted(tokenizer.decode(&ids));
        }
    }
    accepted(tokenizer.to_json());
    accepted(tokenizer.vocabulary());
}

/// Renders a chat template.
pub(crate) fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let messages = [Message::new("system", "Be kind."), Message::new("user", TEXT)];
    if let Some(chat) = accepted(Chat::new(text, "chat_template.jinja", &[("bos_token", "<s>")])) {
        accepted(chat.render(&messages, true));
        accepted(chat.render(&[], false));
    }
}
