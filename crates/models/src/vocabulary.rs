//! Converts vocabularies between `bitkv-checkpoint`, which reads GGUF files, and `bitkv-tokenizer`.

use bitkv_checkpoint::gguf;
use bitkv_tokenizer::{SpecialIds, Vocabulary};

/// Converts the vocabulary of a GGUF file to the vocabulary of a tokenizer, without the chat template.
pub fn from_gguf(vocabulary: gguf::Vocabulary) -> Vocabulary {
    let gguf::Vocabulary { model, pre, tokens, scores, token_types, merges, .. } = vocabulary;
    let gguf::Vocabulary { bos, eos, unk, pad, add_bos, add_eos, add_space_prefix, .. } = vocabulary;
    let special = SpecialIds { bos, eos, unk, pad };
    Vocabulary {
        model,
        pre,
        tokens,
        scores,
        token_types,
        merges,
        special,
        add_bos,
        add_eos,
        add_space_prefix,
    }
}

/// Converts the vocabulary of a tokenizer, with a chat template, to the vocabulary of a GGUF file.
pub fn for_gguf(vocabulary: Vocabulary, chat_template: Option<String>) -> gguf::Vocabulary {
    let Vocabulary { model, pre, tokens, scores, token_types, merges, special, .. } = vocabulary;
    let Vocabulary { add_bos, add_eos, add_space_prefix, .. } = vocabulary;
    let SpecialIds { bos, eos, unk, pad } = special;
    gguf::Vocabulary {
        model,
        pre,
        tokens,
        scores,
        token_types,
        merges,
        bos,
        eos,
        unk,
        pad,
        add_bos,
        add_eos,
        add_space_prefix,
        chat_template,
    }
}
