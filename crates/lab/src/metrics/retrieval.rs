//! How many questions were answered.

use std::collections::BTreeMap;

use crate::tasks::Question;

/// Steps of depth that questions are gathered in.
const STEPS: f64 = 10.0;

/// Right answers of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Answers that were right.
    pub correct: usize,
    /// Questions that were asked.
    pub questions: usize,
}

impl Answered {
    /// The part that was right, 0..1; NaN where nothing was asked.
    pub fn fraction(self) -> f64 {
        self.correct as f64 / self.questions as f64
    }

    fn add(&mut self, right: bool) {
        self.correct += usize::from(right);
        self.questions += 1;
    }
}

/// Answers to questions, counted as they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// All of them.
    pub all: Answered,
    /// Those whose answer has a place, by its depth in tenths, 0 to 10, rounded to the nearest.
    pub by_depth: BTreeMap<u8, Answered>,
}

impl Accuracy {
    /// Counts the answer to `question`; `predictions` as for [`Question::correct`].
    pub fn add(&mut self, question: &Question, predictions: &[usize]) {
        let right = question.correct(predictions);
        self.all.add(right);
        if let Some(depth) = question.depth {
            self.by_depth.entry((depth * STEPS).round() as u8).or_default().add(right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(depth: Option<f64>) -> Question {
        Question { prompt: vec![1], answer: vec![2, 3], depth }
    }

    #[test]
    fn counts_by_depth() {
        let mut accuracy = Accuracy::default();
        assert!(accuracy.all.fraction().is_nan());
        accuracy.add(&question(Some(0.26)), &[2, 3]);
        accuracy.add(&question(Some(0.3)), &[2, 4]);
        accuracy.add(&question(Some(1.0)), &[2, 3]);
        assert!((accuracy.all.fraction() - 2.0 / 3.0).abs() < 1e-12);
        // Every wrong answer lowers it.
        accuracy.add(&question(None), &[0, 0]);
        assert_eq!(accuracy.all, Answered { correct: 2, questions: 4 });
        assert_eq!(accuracy.all.fraction(), 0.5);
        let third = Answered { correct: 1, questions: 2 };
        let last = Answered { correct: 1, questions: 1 };
        assert_eq!(accuracy.by_depth, BTreeMap::from([(3, third), (10, last)]));
    }
}
