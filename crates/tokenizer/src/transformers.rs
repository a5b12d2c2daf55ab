//! Changes a tokenizer by the settings of its folder, as the classes of transformers 5 do.
//!
//! Most classes use `tokenizer.json` as it is, and ignore the flags of `tokenizer_config.json`. The classes
//! `LlamaTokenizer` and `GPT2Tokenizer` take only tokens, merges and the post-processor from it, and replace
//! the other parts.

use std::collections::HashMap;

use tokenizers::{
    PreTokenizerWrapper,
    pre_tokenizers::{
        byte_level::ByteLevel,
        metaspace::{Metaspace, PrependScheme},
    },
};

use crate::{
    SpecialTokens,
    assemble::TokenizerParts,
    settings::Settings,
    spelling::{SPACE, Spelling},
};

/// The text by which transformers recognises byte-level tokenizers.
const BYTE_LEVEL: &[u8] = b"\"ByteLevel\"";

/// The tokens that `LlamaTokenizer` has by default.
const LLAMA_ROLES: [(&str, &str); 3] = [("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")];

/// The token that `GPT2Tokenizer` has by default for all of these roles.
const GPT_2_ROLES: [(&str, &str); 3] =
    [("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>")];

impl Settings {
    /// Changes a tokenizer that was read from a `tokenizer.json`, which has the text `bytes`.
    pub(crate) fn change_json(mut self, parts: &mut TokenizerParts, bytes: &[u8]) {
        // transformers keeps files of the class of Llama that contain this text, such as Llama 3's.
        let kept = bytes.windows(BYTE_LEVEL.len()).any(|text| text == BYTE_LEVEL);
        let llama = self.class() == "LlamaTokenizer" && parts.spelling != Spelling::ByteLevel && !kept;
        let gpt_2 = self.class() == "GPT2Tokenizer" && parts.spelling == Spelling::ByteLevel;
        if llama {
            self.set_default_roles(&LLAMA_ROLES);
            self.rebuild_llama(parts);
        }
        if gpt_2 {
            self.set_default_roles(&GPT_2_ROLES);
            parts.normalizer = None;
            let prefix = self.add_prefix_space.unwrap_or(false);
            parts.pre_tokenizer = Some(ByteLevel::new(prefix, true, true).into());
            parts.unk_token = None;
            (parts.ignore_merges, parts.byte_fallback, parts.fuse_unk) = (false, false, false);
        }
        if (llama || gpt_2) && self.lists_added {
            parts.added.clear();
        }
        self.add_tokens(parts);
    }

    /// Changes a tokenizer that was read from a `tokenizer.model`.
    pub(crate) fn change_model(mut self, parts: &mut TokenizerParts) {
        let sentencepiece = parts.spelling != Spelling::ByteLevel;
        let llama = self.class() == "LlamaTokenizer" && sentencepiece;
        if llama {
            self.set_default_roles(&LLAMA_ROLES);
            self.rebuild_llama(parts);
        }
        // The listed tokens are already part of the vocabulary.
        self.added.clear();
        self.add_tokens(parts);
        let [bos, eos] = [("bos_token", parts.special.bos), ("eos_token", parts.special.eos)]
            .map(|(key, own)| self.role(key).map_or(own.filter(|_| !llama), |token| parts.id(token)));
        (parts.special.bos, parts.special.eos) = (bos.or(parts.special.bos), eos.or(parts.special.eos));
        let add_bos = self.add_bos.unwrap_or(!llama);
        let add_eos = self.add_eos.unwrap_or(false);
        parts.special_tokens = SpecialTokens {
            before: bos.filter(|_| add_bos).into_iter().collect(),
            after: eos.filter(|_| add_eos).into_iter().collect(),
        };
        if self.add_bos.is_none() && sentencepiece {
            let begins = match llama {
                true => "no first token is put before texts, as in transformers 5",
                false if bos.is_none() => return,
                false => "the first token is put before texts, as for Llama 2",
            };
            parts.notes.push(format!("{}: `add_bos_token` is not set, so {begins}", self.file));
        }
    }

    /// Builds the parts that `LlamaTokenizer` does not take from the files of a model.
    fn rebuild_llama(&self, parts: &mut TokenizerParts) {
        let prefix = self.add_prefix_space.unwrap_or(true);
        let scheme = match (prefix, self.legacy.unwrap_or(false)) {
            (false, _) => PrependScheme::Never,
            (true, true) => PrependScheme::Always,
            (true, false) => PrependScheme::First,
        };
        parts.normalizer = None;
        parts.pre_tokenizer = Some(PreTokenizerWrapper::Metaspace(Metaspace::new(SPACE, scheme, false)));
        parts.spelling = Spelling::SentencePiece { strip: prefix };
        parts.unk_token = None;
        (parts.fuse_unk, parts.byte_fallback, parts.ignore_merges) = (true, true, false);
    }

    /// Adds the tokens that the folder's files name.
    fn add_tokens(&self, parts: &mut TokenizerParts) {
        let next = parts.next_id();
        let ids: HashMap<&str, u32> = parts.tokens.iter().map(|(token, id)| (token.as_str(), *id)).collect();
        self.add_to(&mut parts.added, |token| ids.get(token).copied(), next);
    }
}
