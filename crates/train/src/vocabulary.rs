//! Trains a byte-level BPE tokenizer on the corpus.

use tokenizers::{
    AddedToken, DecoderWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
    processors::template::TemplateProcessing,
};

use crate::{Error, Result, error::Source};

/// The token that starts every sequence.
pub const BOS: &str = "<s>";
/// The token that ends every document.
pub const EOS: &str = "</s>";
/// The id of [`BOS`].
pub const BOS_ID: u32 = 0;
/// The id of [`EOS`].
pub const EOS_ID: u32 = 1;

/// Trains a tokenizer of `size` tokens on `documents`; every digit is a token of its own.
///
/// # Errors
/// Fails if the documents are too few for this many tokens.
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
    tokenizer
        .train(&mut trainer, documents.iter().map(|d| d.to_string()))
        .map_err(|source| Error::TrainTokenizer { source })?;
    tokenizer.with_post_processor(Some(PostProcessorWrapper::Template(template()?)));
    let found = tokenizer.get_vocab_size(true);
    if found != size {
        return Err(Error::SmallCorpus { found, size });
    }
    for (token, id) in [(BOS, BOS_ID), (EOS, EOS_ID)] {
        if tokenizer.token_to_id(token) != Some(id) {
            return Err(Error::SpecialToken { token, id });
        }
    }
    Ok(tokenizer)
}

/// Returns the post-processor that puts [`BOS`] before a text.
fn template() -> Result<TemplateProcessing> {
    let train_error = |source: Source| Error::TrainTokenizer { source };
    let mut builder = TemplateProcessing::builder();
    builder.try_single(format!("{BOS} $A")).map_err(|e| train_error(e.into()))?;
    let built = builder.special_tokens(vec![(BOS, BOS_ID)]).build();
    built.map_err(|e| train_error(e.into()))
}

/// Returns the length in bytes of the text of each token, `[vocabulary]`; 0 for special tokens.
pub fn token_bytes(tokenizer: &Tokenizer) -> Vec<u32> {
    // A byte-level token is written with one character per byte.
    let bytes = |id| tokenizer.id_to_token(id).map_or(0, |token| token.chars().count() as u32);
    let size = tokenizer.get_vocab_size(true) as u32;
    (0..size).map(|id| if id == BOS_ID || id == EOS_ID { 0 } else { bytes(id) }).collect()
}
