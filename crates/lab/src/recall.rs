//! A retrieval task that any tokenizer can express: lines `key value`, asked again later, all in one continuation.
//!
//! This is what [`crate::verify`] asks; [`crate::tasks`] has more kinds, whose questions are asked one by one.

use anyhow::{Result, ensure};
use bitkv_stats::Rng;

use crate::{Subject, tasks::Words};

/// What a model's tokenizer makes of the task.
#[derive(Clone, Debug)]
pub struct Vocabulary(Words);

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
    /// As [`Words::of`].
    pub fn new(subject: &Subject) -> Result<Vocabulary> {
        Words::of(subject).map(Vocabulary)
    }

    /// `pairs` facts with different keys and `questions` of them asked, in another order.
    ///
    /// # Errors
    /// When there are fewer words than keys.
    pub fn draw(&self, pairs: usize, questions: usize, seed: u64) -> Result<Recall> {
        let (words, newline) = (self.0.pool(), self.0.newline());
        ensure!(
            pairs <= words.len() && questions <= pairs,
            "{questions} questions about {pairs} facts need as many facts and at most {} of them",
            words.len()
        );
        let mut rng = Rng::new(seed);
        let keys = self.0.shuffled(&mut rng);
        let mut facts: Vec<[u32; LINE]> =
            keys[..pairs].iter().map(|&key| [key, words[rng.below(words.len())], newline]).collect();
        let context = self.0.bos().into_iter().chain(facts.iter().flatten().copied()).collect();
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
        Vocabulary(Words::new((10..110).collect(), 1, Some(0), "ten times ten").unwrap())
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
    fn what_is_drawn_stays_as_it_was() {
        // Worked out by another implementation of the generator: committed results stand on these draws.
        let recall = vocabulary().draw(3, 2, 7).unwrap();
        assert_eq!(recall.context, [0, 17, 104, 1, 108, 89, 1, 45, 15, 1]);
        assert_eq!(recall.questions, [108, 89, 1, 45, 15, 1]);
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
