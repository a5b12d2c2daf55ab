//! Tests of drawn retrieval contexts: their lengths, depths and answers, and that facts occur only once.

use bitkv_lab::tasks::*;
use bitkv_record::{Named, TaskKind};

/// The tokens of test contexts: the shortest that every kind accepts, odd lengths, and one with more lines
/// than words.
const LENGTHS: [usize; 5] = [131, 200, 257, 512, 1500];

/// Returns a vocabulary of 64 words, the fewest allowed, and one of 300.
fn vocabularies() -> Vec<Words> {
    vec![
        Words::new((10..74).collect(), 1, Some(0), "small").unwrap(),
        Words::new((500..800).collect(), 7, None, "large").unwrap(),
    ]
}

/// Returns the words of a trained model.
fn trained() -> Words {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/first-mha");
    let loaded = bitkv_models::LoadedModel::open(folder).unwrap();
    Words::from_model(&loaded).unwrap().with_prose(&loaded).unwrap()
}

/// Returns the kinds of lines of words whose contexts are exactly as long as asked. The other kinds,
/// `recall-together` and `needle-in-prose`, are tested in their modules.
fn exact_kinds() -> impl Iterator<Item = TaskKind> {
    kinds().filter(|kind| !matches!(kind, TaskKind::RecallTogether | TaskKind::NeedleInProse))
}

/// Calls `check` for several contexts of every kind, vocabulary and length.
fn for_each_context(mut check: impl FnMut(TaskKind, &Words, usize, usize, &Retrieval)) {
    for words in vocabularies().into_iter().chain([trained()]) {
        for kind in exact_kinds() {
            for tokens in LENGTHS {
                for index in [0, 1, 5, 10, 13] {
                    let drawn = draw(kind, &words, tokens, index, 3).unwrap();
                    check(kind, &words, tokens, index, &drawn);
                }
            }
        }
    }
}

/// Returns the indices at which `part` begins in the context.
fn occurrences(context: &[u32], part: &[u32]) -> Vec<usize> {
    let windows = context.windows(part.len()).enumerate();
    windows.filter(|(_, window)| *window == part).map(|(at, _)| at).collect()
}

#[test]
fn lengths_are_exact_and_lines_are_whole() {
    for_each_context(|kind, words, tokens, _, drawn| {
        assert_eq!(drawn.context.len(), tokens, "{kind:?}");
        assert_eq!(drawn.context.last(), Some(&words.newline()));
        let body = &drawn.context[usize::from(words.bos().is_some())..];
        assert_eq!(drawn.context[..tokens - body.len()], words.bos().into_iter().collect::<Vec<_>>());
        assert!(body.split(|token| *token == words.newline()).all(|line| line.len() <= 12));
        assert!(body.iter().all(|token| words.pool().contains(token) || *token == words.newline()));
    });
}

#[test]
fn every_question_has_a_prompt_an_answer_and_a_valid_depth() {
    for_each_context(|kind, _, _, _, drawn| {
        assert!(!drawn.questions.is_empty());
        for (i, question) in drawn.questions.iter().enumerate() {
            assert!(!question.prompt.is_empty() && !question.answer.is_empty());
            assert!(question.depth.is_none_or(|depth| (0.0..=1.0).contains(&depth)));
            assert_eq!(question.depth.is_none(), kind == TaskKind::CommonWords);
            assert!(drawn.questions[..i].iter().all(|other| other.prompt != question.prompt), "asked twice");
        }
    });
}

/// Except in `variables` and `common-words`, a prompt occurs in the context exactly once, and the answer
/// follows it there.
#[test]
fn answers_follow_the_only_occurrence_of_their_prompt() {
    for_each_context(|kind, _, _, _, Retrieval { context, questions }| {
        if matches!(kind, TaskKind::Variables | TaskKind::CommonWords) {
            return;
        }
        for question in questions {
            let at = occurrences(context, &question.prompt);
            assert_eq!(at.len(), 1, "{kind:?}");
            let answer = at[0] + question.prompt.len();
            assert_eq!(context[answer..answer + question.answer.len()], question.answer);
        }
    });
}

/// Every token of an answer is at its position, directly after the token that a reader has before it: the
/// last token of the prompt, and then the tokens of the answer.
#[test]
fn positions_are_those_of_the_answer() {
    let check = |kind: TaskKind, Retrieval { context, questions }: &Retrieval| {
        for question in questions {
            if kind == TaskKind::CommonWords {
                assert!(question.positions.is_empty(), "no single line has the answer");
                continue;
            }
            assert_eq!(question.positions.len(), question.answer.len(), "{kind:?}");
            let read = [&question.prompt[question.prompt.len() - 1..], &question.answer].concat();
            for (&position, pair) in question.positions.iter().zip(read.windows(2)) {
                assert_eq!(context[position as usize - 1..=position as usize], *pair, "{kind:?}");
            }
        }
    };
    for_each_context(|kind, _, _, _, drawn| check(kind, drawn));
    for words in vocabularies() {
        check(TaskKind::RecallTogether, &draw(TaskKind::RecallTogether, &words, 131, 0, 3).unwrap());
    }
}

/// The depth of a line is the fraction of the other lines that come before it, to within a line of filler on
/// either side.
#[test]
fn depths_are_the_fraction_of_the_context_before_the_answer() {
    for_each_context(|kind, words, tokens, index, Retrieval { context, questions }| {
        if matches!(kind, TaskKind::Passkey | TaskKind::Copy) {
            let asked =
                [0.0, 0.1, 0.5, 1.0, 0.2][[0, 1, 5, 10, 13].iter().position(|&i| i == index).unwrap()];
            assert_eq!(questions[0].depth, Some(asked));
        }
        for question in
            questions.iter().filter(|_| !matches!(kind, TaskKind::Variables | TaskKind::CommonWords))
        {
            let at = occurrences(context, &question.prompt)[0];
            let length = context[at..].iter().position(|token| *token == words.newline()).unwrap() + 1;
            let before = at as f64 / (tokens - length) as f64;
            let depth = question.depth.unwrap();
            // The lines of other needles shift it by up to the length of one of them.
            let slack = 17.0 / tokens as f64;
            assert!((before - depth).abs() <= slack, "{kind:?} of {tokens}: {before} for {depth}");
        }
    });
}

#[test]
fn the_words_of_a_value_occur_only_once() {
    for_each_context(|kind, _, _, _, Retrieval { context, questions }| {
        if matches!(kind, TaskKind::Passkey | TaskKind::Needles) {
            for token in questions.iter().flat_map(|question| &question.answer) {
                assert_eq!(occurrences(context, &[*token]).len(), 1, "{kind:?}");
            }
        }
    });
}

/// Each variable is followed to its value by reading only the lines of the context.
#[test]
fn variables_lead_to_their_value() {
    for_each_context(|kind, words, _, _, Retrieval { context, questions }| {
        if kind != TaskKind::Variables {
            return;
        }
        let body = &context[usize::from(words.bos().is_some())..];
        let lines: Vec<&[u32]> = body.split(|token| *token == words.newline()).collect();
        let assigned = |name: u32| -> Vec<u32> {
            lines.iter().filter(|line| line.len() == 2 && line[0] == name).map(|line| line[1]).collect()
        };
        let mut values = Vec::new();
        for question in questions {
            let (example, name) = question.prompt.split_at(question.prompt.len() - 1);
            let example = example.strip_suffix(&[words.newline()]).unwrap();
            for trace in [example.to_vec(), [name, &question.answer].concat()] {
                for step in trace.windows(2) {
                    assert_eq!(assigned(step[0]), [step[1]]);
                }
                let value = trace[trace.len() - 1];
                assert!(assigned(value).is_empty(), "a value is assigned like a variable");
                values.push(value);
            }
            assert_eq!(example.len(), question.answer.len() + 1);
        }
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 3, "the example and two chains end in different values");
    });
}

#[test]
fn a_variable_is_assigned_before_it_is_read() {
    for_each_context(|kind, _, _, _, Retrieval { context, questions }| {
        for question in questions.iter().filter(|_| kind == TaskKind::Variables) {
            let trace = [&question.prompt[question.prompt.len() - 1..], &question.answer].concat();
            let at: Vec<usize> = trace.windows(2).map(|step| occurrences(context, step)[0]).collect();
            assert!(at.is_sorted_by(|a, b| a > b), "{at:?}");
        }
    });
}

#[test]
fn common_words_have_their_shares_and_are_asked_in_order() {
    for_each_context(|kind, words, _, _, Retrieval { context, questions }| {
        if kind != TaskKind::CommonWords {
            return;
        }
        let mut counts: Vec<(usize, u32)> =
            words.pool().iter().map(|&word| (occurrences(context, &[word]).len(), word)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let order: Vec<u32> = counts.iter().take(4).map(|(_, word)| *word).collect();
        assert!(counts[..4].windows(2).all(|pair| pair[0].0 > pair[1].0), "{counts:?}");
        assert!(counts[3].0 >= 2 * counts[4].0, "{counts:?}");
        let listed = context.iter().filter(|token| words.pool().contains(token)).count();
        for ((count, _), share) in counts.iter().zip([8, 6, 4, 2]) {
            assert_eq!(*count, listed * share / 40, "half of {listed} words are common ones");
        }
        for (n, question) in (1..).zip(questions) {
            assert_eq!((&question.prompt[..], &question.answer[..]), (&order[..n], &order[n..=n]));
        }
        assert_eq!(questions.len(), 3);
    });
}

#[test]
fn facts_fill_a_context_of_recall() {
    let words = &vocabularies()[1];
    let drawn = draw(TaskKind::Recall, words, 300, 0, 1).unwrap();
    let keys: std::collections::BTreeSet<u32> = drawn.context.chunks(3).map(|line| line[0]).collect();
    assert_eq!((keys.len(), drawn.questions.len()), (100, 16));
}

#[test]
fn draws_depend_on_all_of_their_arguments_and_nothing_else() {
    let words = &trained();
    for kind in kinds() {
        let drawn = draw(kind, words, 300, 4, 9).unwrap();
        assert_eq!(drawn, draw(kind, words, 300, 4, 9).unwrap());
        for other in [draw(kind, words, 300, 5, 9), draw(kind, words, 300, 4, 10)] {
            let other = other.unwrap();
            assert_ne!(drawn.context, other.context, "{kind:?}");
            assert_ne!(drawn.questions, other.questions, "{kind:?}");
        }
    }
    let first_prompt = |kind| draw(kind, words, 300, 0, 0).unwrap().questions[0].prompt.clone();
    assert_ne!(first_prompt(TaskKind::Passkey), first_prompt(TaskKind::Recall));
}

#[test]
fn errors_of_small_contexts_and_vocabularies_say_what_is_needed() {
    let words = &vocabularies()[0];
    let needed = [59, 85, 80, 131, 49, 66];
    for (kind, needed) in exact_kinds().zip(needed) {
        assert!(draw(kind, words, needed, 3, 0).is_ok(), "{kind:?} of {needed}");
        let error = draw(kind, words, needed - 1, 3, 0).unwrap_err().to_string();
        let name = kind.name();
        let few = needed - 1;
        assert_eq!(
            error,
            format!("a context of the task {name} needs {needed} tokens or more: {few} are too few")
        );
    }
    let error = Words::new((0..63).collect(), 99, None, "m").unwrap_err().to_string();
    assert!(error.starts_with("the tokenizer of m has 63 of the tasks' words"), "{error}");
    for (newline, bos) in [(5, None), (99, Some(5))] {
        let error = Words::new((0..64).collect(), newline, bos, "m").unwrap_err().to_string();
        assert!(error.starts_with("token 5 of m has two roles"), "{error}");
    }
}

#[test]
fn every_kind_except_text_can_be_drawn() {
    for kind in TaskKind::ALL.iter().filter(|kind| **kind != TaskKind::Text) {
        assert!(kinds().any(|other| other == *kind), "{kind}");
    }
    assert!(draw(TaskKind::Text, &vocabularies()[0], 100, 0, 0).is_err());
}

#[test]
fn chance_is_the_probability_of_guessing_words_of_the_context() {
    let question = |answer: &[u32]| Question {
        prompt: vec![1],
        answer: answer.to_vec(),
        depth: None,
        positions: Vec::new(),
    };
    let drawn =
        Retrieval { context: vec![1, 2, 3, 4, 1], questions: vec![question(&[2]), question(&[3, 4])] };
    assert_eq!((drawn.chance(&[0]), drawn.chance(&[1])), (0.25, 0.0625));
    assert_eq!(drawn.chance(&[0, 1]), (0.25 + 0.0625) / 2.0);
    assert_eq!(drawn.together(9), [1, 2, 9, 1, 3, 4, 9]);
}

#[test]
fn an_answer_is_right_only_if_every_token_is() {
    let question = Question { prompt: vec![5, 6], answer: vec![7, 8], depth: None, positions: Vec::new() };
    assert_eq!(question.asked(), [5, 6, 7]);
    assert!(question.correct(&[99, 7, 8]));
    for wrong in [&[99, 7, 9][..], &[99, 6, 8], &[99, 7], &[99, 7, 8, 1], &[]] {
        assert!(!question.correct(wrong), "{wrong:?}");
    }
}
