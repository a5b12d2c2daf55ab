//! A retrieval task that any tokenizer can express: lines `key value`, asked again later.

use anyhow::{Result, ensure};
use bitkv_stats::Rng;

use crate::Subject;

/// Common words; those that are one token of a model's vocabulary are its keys and values.
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

/// Fewest words a vocabulary must share with the list.
const FEWEST: usize = 64;

/// What a model's tokenizer makes of the task.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    words: Vec<u32>,
    newline: u32,
    bos: Option<u32>,
}

/// A context of facts and the questions about it.
#[derive(Clone, Debug)]
pub struct Recall {
    /// Beginning of sequence and `pairs` lines of key, value, newline.
    pub context: Vec<u32>,
    /// Key, value, newline for every question: the value is the answer to its key.
    pub questions: Vec<u32>,
}

/// Tokens of a line.
const LINE: usize = 3;

impl Vocabulary {
    /// The words of the list that are single tokens.
    ///
    /// # Errors
    /// When the model has no tokenizer or too few such words.
    pub fn new(subject: &Subject) -> Result<Vocabulary> {
        let tokenizer = subject.tokenizer()?;
        let single = |text: &str| -> Result<Option<u32>> {
            let ids = tokenizer.encode(text, false)?;
            Ok((ids.len() == 1).then(|| ids[0]))
        };
        let mut words = Vec::new();
        for word in WORDS.split(' ') {
            // Vocabularies mark a word by the space in front of it, or add that space themselves.
            let found = single(&format!(" {word}"))?.or(single(word)?);
            words.extend(found.filter(|id| !words.contains(id)));
        }
        ensure!(
            words.len() >= FEWEST,
            "the tokenizer of {} has {} of the task's words as single tokens: recall needs {FEWEST}",
            subject.name,
            words.len()
        );
        let Some(&newline) = tokenizer.encode("\n", false)?.last() else {
            anyhow::bail!("the tokenizer of {} has no newline: recall needs one", subject.name)
        };
        Ok(Vocabulary { words, newline, bos: subject.config().bos_token_id })
    }

    /// `pairs` facts with different keys and `questions` of them asked, in another order.
    ///
    /// # Errors
    /// When there are fewer words than keys.
    pub fn draw(&self, pairs: usize, questions: usize, seed: u64) -> Result<Recall> {
        ensure!(
            pairs <= self.words.len() && questions <= pairs,
            "{questions} questions about {pairs} facts need as many facts and at most {} of them",
            self.words.len()
        );
        let mut rng = Rng::new(seed);
        let mut keys = self.words.clone();
        rng.shuffle(&mut keys);
        let mut facts: Vec<[u32; LINE]> = keys[..pairs]
            .iter()
            .map(|&key| [key, self.words[rng.below(self.words.len())], self.newline])
            .collect();
        let context = self.bos.into_iter().chain(facts.iter().flatten().copied()).collect();
        rng.shuffle(&mut facts);
        Ok(Recall { context, questions: facts[..questions].iter().flatten().copied().collect() })
    }
}

impl Recall {
    /// Questions answered right: `predictions[i]` is what the model puts after `questions[i]`.
    pub fn correct(&self, predictions: &[usize]) -> usize {
        let lines = self.questions.chunks_exact(LINE).zip(predictions.chunks(LINE));
        lines.filter(|(line, predicted)| predicted[0] == line[1] as usize).count()
    }

    /// How many questions there are.
    pub fn count(&self) -> usize {
        self.questions.len() / LINE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary { words: (10..110).collect(), newline: 1, bos: Some(0) }
    }

    #[test]
    fn every_answer_stands_in_the_context() {
        let recall = vocabulary().draw(40, 20, 7).unwrap();
        assert_eq!((recall.context.len(), recall.count()), (121, 20));
        for question in recall.questions.chunks(LINE) {
            assert!(recall.context[1..].chunks(LINE).any(|fact| fact == question));
        }
    }

    #[test]
    fn only_the_answer_after_a_key_counts() {
        let recall = Recall { context: vec![], questions: vec![5, 6, 1, 7, 8, 1] };
        assert_eq!(recall.correct(&[6, 99, 99, 8, 0, 0]), 2);
        assert_eq!(recall.correct(&[99, 6, 1, 8, 8, 1]), 1);
    }

    #[test]
    fn too_many_facts_are_refused() {
        assert!(vocabulary().draw(101, 1, 0).is_err());
        assert!(vocabulary().draw(4, 5, 0).is_err());
    }
}
