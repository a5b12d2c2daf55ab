//! The task `needle-in-prose`: one sentence with a number in a piece of prose.

use bitkv_models::suite;
use bitkv_record::Texts;
use bitkv_stats::Rng;
use bitkv_tokenizer::Tokenizer;

use super::{Question, Retrieval, TaskKind, Words, positions, swept_depth};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, ensure},
};

/// The things whose numbers sentences name. None of them occurs in the prose.
const THINGS: [&str; 12] = [
    "aquarium",
    "cathedral",
    "dolphin",
    "giraffe",
    "helicopter",
    "lighthouse",
    "observatory",
    "orchestra",
    "penguin",
    "pyramid",
    "submarine",
    "volcano",
];
/// The number of different numbers.
const NUMBERS: usize = 48;
/// The fewest sentences of prose. A depth among fewer sentences would mean little.
const FEWEST_SENTENCES: usize = 4;
/// The register of the suite's text that the prose is taken from.
const REGISTER: &str = "narrative";

/// Prose and needles as tokens of a model's vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Prose {
    /// The sentences in the order of the text.
    sentences: Vec<Vec<u32>>,
    /// The question for each thing, which begins its sentence.
    questions: Vec<Vec<u32>>,
    /// The numbers, which are the answers.
    answers: Vec<Vec<u32>>,
    /// The end of a sentence.
    full_stop: Vec<u32>,
}

impl Prose {
    /// Returns the tokens of a tokenizer for the suite's narrative and for the sentences that are put into
    /// it.
    pub(super) fn from_tokenizer(tokenizer: &Tokenizer) -> Result<Prose> {
        let encode = |text: &str| tokenizer.encode_bare(text).at(format!("cannot encode '{text}'"));
        let all = |texts: Vec<String>| texts.iter().map(|text| encode(text)).collect::<Result<Vec<_>>>();
        let mut rng = Rng::new(NUMBERS as u64);
        let number = |_| format!(" {}", 10_000 + rng.below(90_000));
        Ok(Prose {
            sentences: all(sentences(&suite::long_texts()?))?,
            questions: all(THINGS.iter().map(|thing| question(thing)).collect())?,
            answers: all((0..NUMBERS).map(number).collect())?,
            full_stop: encode(".")?,
        })
    }
}

/// Returns the beginning of the sentence about a thing.
fn question(thing: &str) -> String {
    format!("The secret number of the {thing} is")
}

/// Divides the narrative of the suite into sentences. Each but the first begins with a space or a line end,
/// so that the sentences one after another are the text.
fn sentences(texts: &Texts) -> Vec<String> {
    let narrative = texts.all().iter().filter(|text| text.entry.register == REGISTER);
    let mut sentences = Vec::new();
    for text in narrative {
        sentences.push(String::new());
        let mut characters = text.content.chars().peekable();
        while let Some(c) = characters.next() {
            let last = sentences.last_mut().expect("there is always a sentence");
            last.push(c);
            let ends = ['.', '?', '!'].contains(&c) || c == '\n' && characters.peek() != Some(&'\n');
            if ends && characters.peek().is_some_and(|next| next.is_whitespace()) {
                sentences.push(String::new());
            }
        }
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// Draws a piece of prose with one sentence in it, on a line of its own: "The secret number of the volcano is
/// 61894." The question is the sentence up to its number.
pub(super) fn draw(words: &Words, tokens: usize, index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let prose = words
        .prose()
        .refuse(Error::Unfit, format!("the task {} needs a tokenizer", TaskKind::NeedleInProse))?;
    let pick = |from: &[Vec<u32>], rng: &mut Rng| from[rng.below(from.len())].clone();
    let (prompt, answer) = (pick(&prose.questions, rng), pick(&prose.answers, rng));
    let line_end = [words.newline()];
    let needle = [&line_end[..], &prompt, &answer, &prose.full_stop, &line_end].concat();
    let bos: Vec<u32> = words.bos().into_iter().collect();
    // The context ends a line, so that the question begins one.
    let most = tokens.saturating_sub(bos.len() + needle.len() + line_end.len());
    let filler = piece(&prose.sentences, most, rng);
    ensure!(
        Unfit,
        filler.len() >= FEWEST_SENTENCES && filler.iter().map(Vec::len).sum::<usize>() == most,
        "a context of the task {} has at least {FEWEST_SENTENCES} sentences of the suite's narrative, and at most \
         all of them: {tokens} tokens are too few or too many, so change the length",
        TaskKind::NeedleInProse
    );
    let depth = swept_depth(index);
    let (before, after) = filler.split_at((depth * filler.len() as f64).round() as usize);
    let context = [bos, before.concat(), needle, after.concat(), line_end.to_vec()].concat();
    let positions = positions::after_prompt(&context, &prompt, &answer);
    let question = Question { prompt, answer, depth: Some(depth), positions };
    Ok(Retrieval { context, questions: vec![question] })
}

/// Returns neighbouring sentences with `tokens` tokens in total, from a random place of the text on. The
/// first one lacks its beginning if the sum would be larger. There are fewer tokens if the text is too short.
fn piece(sentences: &[Vec<u32>], tokens: usize, rng: &mut Rng) -> Vec<Vec<u32>> {
    // The last sentence from which enough tokens follow.
    let (mut last, mut left) = (sentences.len(), 0);
    while last > 0 && left < tokens {
        last -= 1;
        left += sentences[last].len();
    }
    let first = rng.below(last + 1);
    let mut end = first;
    let mut total = 0;
    while end < sentences.len() && total < tokens {
        total += sentences[end].len();
        end += 1;
    }
    let mut piece = sentences[first..end].to_vec();
    let mut extra = total.saturating_sub(tokens);
    while let Some(sentence) = piece.first_mut().filter(|_| extra > 0) {
        let excess = extra.min(sentence.len());
        sentence.drain(..excess);
        extra -= excess;
        if sentence.is_empty() {
            piece.remove(0);
        }
    }
    piece
}

#[cfg(test)]
mod tests {
    use bitkv_models::LoadedModel;

    use super::*;

    #[test]
    fn a_sentence_with_a_number_is_in_the_prose() {
        let loaded = LoadedModel::open("tiny-gqa").unwrap();
        let words = Words::from_model(&loaded).unwrap().with_prose(&loaded).unwrap();
        let tokenizer = loaded.tokenizer().unwrap();
        let mut questions = std::collections::BTreeSet::new();
        for (index, tokens) in [(0, 200), (1, 512), (5, 1023), (10, 4096), (13, 257)] {
            let drawn = super::super::draw(TaskKind::NeedleInProse, &words, tokens, index, 3).unwrap();
            assert_eq!(drawn.context.len(), tokens);
            assert_eq!(drawn.context.last(), Some(&words.newline()));
            let [question] = &drawn.questions[..] else { panic!("one question") };
            let (context, prompt) =
                (tokenizer.decode(&drawn.context).unwrap(), tokenizer.decode(&question.prompt).unwrap());
            let answer = tokenizer.decode(&question.answer).unwrap();
            let sentence = format!("\n{}{answer}.\n", prompt.trim_start());
            assert_eq!(context.matches(&sentence).count(), 1, "{sentence} in {context}");
            assert_eq!(context.matches(&*answer).count(), 1, "the number is nowhere else");
            let at = context.find(&sentence).unwrap() as f64 / context.len() as f64;
            let depth = index as f64 % 11.0 / 10.0;
            assert_eq!(question.depth, Some(depth));
            assert!((at - depth).abs() < 60.0 / tokens as f64, "{at} for {depth}");
            let found: Vec<u32> = question.positions.iter().map(|at| drawn.context[*at as usize]).collect();
            assert_eq!(found, question.answer);
            questions.insert(prompt);
        }
        assert!(questions.len() > 2, "{questions:?}");
        for tokens in [60, 1_000_000] {
            let error = super::super::draw(TaskKind::NeedleInProse, &words, tokens, 0, 3).unwrap_err();
            assert!(error.to_string().contains("too few or too many"), "{error}");
        }
    }

    #[test]
    fn no_needle_is_in_the_prose() {
        let prose = sentences(&suite::long_texts().unwrap()).concat();
        assert!(prose.len() > 40_000);
        assert!(THINGS.iter().all(|thing| !prose.contains(thing)));
        assert!(!prose.contains("secret number"));
    }
}
