//! Tokenizers of both families, from every kind of file, compared with other implementations.

mod byte_level;
mod chat;
mod chat_templates;
mod corpus;
mod doubtful;
mod export;
mod folder;
mod gguf;
mod hostile;
mod model_file;
mod passages;
mod published;
mod random_vocabularies;
mod reference;
mod sentencepiece;
mod special_tokens;
mod stream;

#[test]
fn tokenizers_and_chats_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&corpus::from_json(&corpus::byte_level(&corpus::gpt_2_splitter())));
    shared(&bitkv_tokenizer::Chat::bitnet_2b_4t());
}
