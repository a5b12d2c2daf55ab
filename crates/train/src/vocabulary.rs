//! A byte-level BPE trained on the corpus, and what the tasks need of it.

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

/// Starts every sequence.
pub const BOS: &str = "<s>";
/// Stands between documents.
pub const EOS: &str = "</s>";
/// Id of [`BOS`].
pub const BOS_ID: u32 = 0;
/// Id of [`EOS`].
pub const EOS_ID: u32 = 1;

/// Trains a tokenizer of `size` tokens on `documents`; digits stand alone.
///
/// # Errors
/// When the documents are too few for so many tokens.
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

/// What puts [`BOS`] before a text.
fn template() -> Result<TemplateProcessing> {
    let refused = |source: Source| Error::TrainTokenizer { source };
    let mut builder = TemplateProcessing::builder();
    builder.try_single(format!("{BOS} $A")).map_err(|e| refused(e.into()))?;
    let built = builder.special_tokens(vec![(BOS, BOS_ID)]).build();
    built.map_err(|e| refused(e.into()))
}

/// How many bytes of text each token stands for; 0 for special tokens.
pub fn token_bytes(tokenizer: &Tokenizer) -> Vec<u32> {
    // A byte-level token is written with one character a byte.
    let bytes = |id| tokenizer.id_to_token(id).map_or(0, |token| token.chars().count() as u32);
    let size = tokenizer.get_vocab_size(true) as u32;
    (0..size).map(|id| if id == BOS_ID || id == EOS_ID { 0 } else { bytes(id) }).collect()
}
