//! A byte-level BPE trained on the corpus, and what the tasks need of it.

use anyhow::{Context, Result, anyhow, ensure};
use tokenizers::{
    AddedToken, DecoderWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
    processors::template::TemplateProcessing,
};

/// Starts every sequence.
pub const BOS: &str = "<s>";
/// Stands between documents.
pub const EOS: &str = "</s>";
/// Id of [`BOS`].
pub const BOS_ID: u32 = 0;
/// Id of [`EOS`].
pub const EOS_ID: u32 = 1;

/// Trains a tokenizer of `size` tokens on `documents`; digits stand alone.
pub fn train(documents: &[&str], size: usize) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let split: Vec<PreTokenizerWrapper> =
        vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(split))));
    tokenizer.with_decoder(Some(DecoderWrapper::ByteLevel(ByteLevel::default())));

    let special = [BOS, EOS].map(|token| AddedToken::from(token, true));
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut trainer = TrainerWrapper::BpeTrainer(trainer);
    tokenizer.train(&mut trainer, documents.iter().map(|d| d.to_string())).map_err(|e| anyhow!(e))?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))
        .map_err(|e| anyhow!(e))?
        .special_tokens(vec![(BOS, BOS_ID)])
        .build()
        .context("cannot set the template of the tokenizer")?;
    tokenizer.with_post_processor(Some(PostProcessorWrapper::Template(template)));
    let found = tokenizer.get_vocab_size(true);
    ensure!(
        found == size,
        "the corpus yields {found} tokens, not {size}: use more text or a smaller vocabulary"
    );
    ensure!(tokenizer.token_to_id(BOS) == Some(BOS_ID) && tokenizer.token_to_id(EOS) == Some(EOS_ID));
    Ok(tokenizer)
}

/// How many bytes of text each token stands for; 0 for special tokens.
pub fn token_bytes(tokenizer: &Tokenizer) -> Vec<u32> {
    // A byte-level token is written with one character a byte.
    let bytes = |id| tokenizer.id_to_token(id).map_or(0, |token| token.chars().count() as u32);
    let size = tokenizer.get_vocab_size(true) as u32;
    (0..size).map(|id| if id == BOS_ID || id == EOS_ID { 0 } else { bytes(id) }).collect()
}
