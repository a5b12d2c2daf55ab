//! How many questions were answered.

use super::of_pairs;
use crate::tasks::Question;

/// Part of the questions whose whole answer is right, 0..1; `predictions[i]` as [`Question::correct`] takes them for
/// `questions[i]`.
pub fn accuracy(questions: &[Question], predictions: &[Vec<usize>]) -> f64 {
    of_pairs(questions, predictions, |question, predicted| f64::from(u8::from(question.correct(predicted))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_answer_lowers_it() {
        let questions = vec![Question { prompt: vec![1], answer: vec![2, 3], depth: None }; 4];
        let mut predictions = vec![vec![2, 3]; 4];
        assert_eq!(accuracy(&questions, &predictions), 1.0);
        for wrong in 0..4 {
            // Half an answer is none.
            predictions[wrong] = vec![2, 9];
            assert_eq!(accuracy(&questions, &predictions), 0.75 - 0.25 * wrong as f64);
        }
    }

    #[test]
    fn what_was_not_asked_is_nan() {
        assert!(accuracy(&[], &[]).is_nan());
        assert!(accuracy(&[], &[vec![1]]).is_nan());
    }
}
