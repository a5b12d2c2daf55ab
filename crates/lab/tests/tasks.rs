//! Retrieval tasks on two trained models: questions can be answered from the context, and only from it.

mod support;

use bitkv_lab::tasks::{Question, Words, draw, kinds};
use bitkv_models::LoadedModel;
use bitkv_record::TaskKind;
use bitkv_stats::argmax;
use support::loaded_models;

/// The tokens of a context. The models were trained on sequences of 128 to 192 tokens.
const TOKENS: usize = 132;
/// The number of contexts of each kind.
const CONTEXTS: usize = 11;

/// Returns the most likely token after each token of each question, when it is asked directly after
/// `context`.
fn predictions(loaded: &LoadedModel, context: &[u32], questions: &[Question]) -> Vec<Vec<usize>> {
    let mut cache = loaded.model.new_cache();
    loaded.model.forward(context, &mut cache, None).unwrap();
    let answer = |question: &Question| {
        let read = loaded.model.forward(&question.asked(), &mut cache.clone(), None).unwrap();
        let logits: Vec<Vec<f32>> = loaded.model.logits(&read.hidden).unwrap().to_vec2().unwrap();
        logits.iter().map(|row| argmax(row).unwrap()).collect()
    };
    questions.iter().map(answer).collect()
}

/// Returns the fraction of questions that are answered right with the whole context, and with only a newline
/// as context.
fn answered(loaded: &LoadedModel, kind: TaskKind) -> (f64, f64) {
    let words = Words::from_model(loaded).unwrap();
    let empty_context = [words.bos().unwrap(), words.newline()];
    let (mut questions, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..CONTEXTS {
        let drawn = draw(kind, &words, TOKENS, index, 1).unwrap();
        with.extend(predictions(loaded, &drawn.context, &drawn.questions));
        without.extend(predictions(loaded, &empty_context, &drawn.questions));
        questions.extend(drawn.questions);
    }
    let right = |predicted: &[Vec<usize>]| {
        assert_eq!(predicted.len(), questions.len());
        let correct = questions.iter().zip(predicted).filter(|(question, words)| question.correct(words));
        correct.count() as f64 / questions.len() as f64
    };
    (right(&with), right(&without))
}

#[test]
fn trained_models_answer_from_the_context_and_only_from_it() {
    for loaded in loaded_models() {
        let name = &loaded.name;
        // Neither model can count words, nor copy a number out of prose.
        let fails = |kind: &TaskKind| matches!(kind, TaskKind::CommonWords | TaskKind::NeedleInProse);
        for kind in kinds().filter(|kind| !fails(kind)) {
            let (with, without) = answered(&loaded, kind);
            assert!(with > 0.5, "{name} answers {with} of {kind}");
            assert!(without < 0.1, "{name} guesses {without} of {kind}");
        }
    }
}
