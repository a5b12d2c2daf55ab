//! The task `recall-together`: a context full of facts. One continuation asks for some of them.

use bitkv_stats::Rng;

use super::{Question, Retrieval, Words, positions};

use crate::{Result, error::ensure};

/// The number of tokens of a line: key, value, newline.
const LINE: usize = 3;
/// The number of keys that are asked for.
const QUESTIONS: usize = 20;

/// Draws as many lines of a key and a value as fit into `tokens`, and asks for twenty of them in another
/// order. The draws must never change, because committed results of `bitkv verify` depend on them.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let pool = words.pool();
    let facts = tokens.saturating_sub(1) / LINE;
    let (fewest, most) = (1 + QUESTIONS * LINE, 1 + pool.len() * LINE);
    ensure!(
        Unfit,
        facts >= QUESTIONS && facts <= pool.len(),
        "a context of the task recall-together needs {fewest} to {most} tokens: {tokens} are {}",
        if facts < QUESTIONS { "too few" } else { "too many" }
    );
    Ok(lines(words, facts, QUESTIONS, rng))
}

/// Draws `facts` lines with different keys, and asks for `asked` of them in another order.
fn lines(words: &Words, facts: usize, asked: usize, rng: &mut Rng) -> Retrieval {
    let (pool, newline) = (words.pool(), words.newline());
    let keys = words.shuffled(rng);
    let mut lines: Vec<[u32; LINE]> =
        keys[..facts].iter().map(|&key| [key, pool[rng.below(pool.len())], newline]).collect();
    let context: Vec<u32> = words.bos().into_iter().chain(lines.iter().flatten().copied()).collect();
    rng.shuffle(&mut lines);
    let question = |line: &[u32; LINE]| {
        let (prompt, answer) = (vec![line[0]], vec![line[1]]);
        // A value may be the key of another line, but only one line has this key and this value.
        let positions = positions::after_prompt(&context, &prompt, &answer);
        Question { prompt, answer, depth: None, positions }
    };
    let questions = lines[..asked].iter().map(question).collect();
    Retrieval { context, questions }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words::new((10..110).collect(), 1, Some(0), "ten times ten").unwrap()
    }

    #[test]
    fn every_answer_is_in_the_context() {
        let drawn = draw(&words(), 121, 0, &mut Rng::new(7)).unwrap();
        assert_eq!((drawn.context.len(), drawn.questions.len()), (121, 20));
        for question in drawn.questions {
            let fact = [question.prompt[0], question.answer[0], 1];
            assert!(drawn.context[1..].chunks(LINE).any(|line| line == fact));
        }
    }

    #[test]
    fn draws_never_change() {
        // The values come from another implementation of the generator. Committed results depend on these
        // draws.
        let drawn = lines(&words(), 3, 2, &mut Rng::new(7));
        assert_eq!(drawn.context, [0, 17, 104, 1, 108, 89, 1, 45, 15, 1]);
        assert_eq!(drawn.together(1), [108, 89, 1, 45, 15, 1]);
    }

    #[test]
    fn contexts_that_are_too_short_or_too_long_are_refused() {
        let error = |tokens| draw(&words(), tokens, 0, &mut Rng::new(1)).unwrap_err().to_string();
        assert_eq!(error(60), "a context of the task recall-together needs 61 to 301 tokens: 60 are too few");
        assert!(error(304).ends_with("304 are too many"));
        assert!(draw(&words(), 301, 0, &mut Rng::new(1)).is_ok());
    }
}
