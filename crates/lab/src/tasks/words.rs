//! [`Words`] are the tokens that tasks are made of: words that are one token each, and the newline.

use std::collections::BTreeSet;

use bitkv_stats::Rng;

use bitkv_models::LoadedModel;

use super::needle_in_prose::Prose;

use crate::{
    Result,
    error::{bail, ensure},
};

/// Common English words. The tasks use those that are a single token of the model's vocabulary.
const WORDS: &str = "\
about above across after again against all almost along already also always among and another any are around \
as ask at away back because been before began behind being below best better between big black body book both \
bring brought built business but by call called came can care carry case century certain change child children \
church city clear close cold come common could country course cut dark day days dead death deep did different \
do does done door down during each early earth end enough even ever every example eyes face fact family far \
father feel feet few field find fire first five following food for force form found four free friend from full \
gave general get give given go god good got great green ground group grow had half hand hands hard has have he \
head hear heard heart held help her here high him himself his hold home hope horse hour house how human hundred \
idea if in into is it its itself just keep kept kind king knew know known land large last later law lay lead \
least leave left less let letter life light like line little live long look looked lost love low made main make \
man many matter may me mean men might mind money moment more morning most mother move much must my name near \
never new next night no north not nothing now number of off often old on once one only open or order other our \
out over own paper part party pass past people perhaps person place point poor power present public put question \
quite rather read real right river road room round said same saw say school sea second see seemed seen sent set \
several shall she should show side since six small so some something soon south speak stand state still stood \
story street strong such sun sure take taken tell ten than that the their them then there these they thing \
things think this those thought thousand three through time to together told too took toward town tree true \
turn turned two under until up upon us use used very voice walk wall want war was watch water way we well went \
were what when where which while white who whole why wife will wind with within without woman women word words \
work world would write year years yet you young your";

/// The fewest words of the list that must be single tokens.
const FEWEST: usize = 64;

/// The tokens of a model's vocabulary that tasks use.
#[derive(Clone, Debug)]
pub struct Words {
    pool: Vec<u32>,
    newline: u32,
    bos: Option<u32>,
    /// The prose of the task `needle-in-prose`; `None` for other tasks.
    prose: Option<Prose>,
}

impl Words {
    /// Returns the words of the list that are single tokens of a model's vocabulary.
    ///
    /// # Errors
    /// Returns an error if the model has no tokenizer, too few such words, or no newline.
    pub fn from_model(loaded: &LoadedModel) -> Result<Words> {
        let tokenizer = loaded.tokenizer()?;
        let single = |text: &str| -> Result<Option<u32>> {
            let ids = tokenizer.encode_bare(text)?;
            Ok((ids.len() == 1).then(|| ids[0]))
        };
        let mut pool = Vec::new();
        for word in WORDS.split(' ') {
            // Some vocabularies have the space before a word in its token; others add that space when they
            // encode.
            let found = single(&format!(" {word}"))?.or(single(word)?);
            pool.extend(found.filter(|id| !pool.contains(id)));
        }
        let Some(&newline) = tokenizer.encode_bare("\n")?.last() else {
            bail!(Unfit, "the tokenizer of {} has no newline: retrieval tasks need one", loaded.name)
        };
        let first = tokenizer.special_tokens().before.first().copied();
        Words::new(pool, newline, first, &loaded.name)
    }

    /// Returns the words with the prose that the task `needle-in-prose` needs.
    ///
    /// # Errors
    /// Returns an error if the model has no tokenizer, or the tokenizer fails.
    pub fn with_prose(self, loaded: &LoadedModel) -> Result<Words> {
        Ok(Words { prose: Some(Prose::from_tokenizer(loaded.tokenizer()?)?), ..self })
    }

    /// Returns words with the given token ids, newline and beginning-of-sequence token. `model` is the name
    /// in error messages.
    ///
    /// # Errors
    /// Returns an error if there are fewer than 64 words, or a token has two roles.
    pub fn new(pool: Vec<u32>, newline: u32, bos: Option<u32>, model: &str) -> Result<Words> {
        ensure!(
            Unfit,
            pool.len() >= FEWEST,
            "the tokenizer of {model} has {} of the tasks' words as single tokens: retrieval tasks need {FEWEST}",
            pool.len()
        );
        let mut roles: BTreeSet<u32> = [newline].into_iter().chain(bos).collect();
        for &word in &pool {
            ensure!(
                Unfit,
                roles.insert(word),
                "token {word} of {model} has two roles in retrieval tasks: give every word, the newline and the \
                 beginning of a sequence a token of its own"
            );
        }
        Ok(Words { pool, newline, bos, prose: None })
    }

    /// Returns the prose; `None` without [`Words::with_prose`].
    pub(super) fn prose(&self) -> Option<&Prose> {
        self.prose.as_ref()
    }

    /// Returns the number of words.
    pub fn count(&self) -> usize {
        self.pool.len()
    }

    /// Returns the token that ends a line.
    pub fn newline(&self) -> u32 {
        self.newline
    }

    /// Returns the token that begins a sequence, if the model has one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Returns the words in the order of the list, `[count]`.
    pub fn pool(&self) -> &[u32] {
        &self.pool
    }

    /// Returns all words in a random order.
    pub(crate) fn shuffled(&self, rng: &mut Rng) -> Vec<u32> {
        let mut words = self.pool.clone();
        rng.shuffle(&mut words);
        words
    }
}
