//! Compares SmolLM2-135M-Instruct with transformers: token ids, rendered chats and greedy tokens of twenty
//! prompts. The weights are not in the repository: `experiments/smollm2/fetch.sh` gets them, and
//! `BITKV_SMOLLM2` names the file. `experiments/smollm2/greedy.py` made the expected values.

use std::path::Path;

use bitkv_bitnet::{CachePrecision, GenerationOptions, Sampling, WeightKind, generate};
use bitkv_models::LoadedModel;
use bitkv_tokenizer::Message;
use serde_json::Value;

/// Returns the model; `None`, after saying so, if no file is named.
fn model() -> Option<LoadedModel> {
    let Some(file) = std::env::var_os("BITKV_SMOLLM2") else {
        eprintln!("skipped: BITKV_SMOLLM2 does not name the file that experiments/smollm2/fetch.sh gets");
        return None;
    };
    Some(LoadedModel::open(&Path::new(&file).display().to_string()).unwrap())
}

fn prompts() -> Vec<Value> {
    let expected: Value = serde_json::from_str(include_str!("../testdata/smollm2.json")).unwrap();
    expected["prompts"].as_array().unwrap().clone()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn token_ids_are_those_of_the_original_tokenizer() {
    let Some(loaded) = model() else { return };
    let tokenizer = loaded.tokenizer().unwrap();
    for prompt in prompts() {
        let text = prompt["text"].as_str().unwrap();
        let encoded = match prompt["chat"].as_bool() {
            Some(true) => tokenizer.encode_bare(text),
            _ => tokenizer.encode(text),
        };
        assert_eq!(encoded.unwrap(), ids(&prompt["ids"]), "{text}");
    }
}

#[test]
fn chats_are_rendered_as_transformers_renders_them() {
    let Some(loaded) = model() else { return };
    let chat = loaded.chat().unwrap();
    for prompt in prompts().iter().filter(|prompt| prompt["chat"] == true) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = prompt["messages"].as_array().unwrap();
        let messages: Vec<Message> =
            messages.iter().map(|m| Message::new(text(&m["role"]), text(&m["content"]))).collect();
        assert_eq!(chat.render(&messages, true).unwrap(), text(&prompt["text"]));
    }
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    let Some(loaded) = model() else { return };
    assert_eq!(loaded.model.weight_kind(), WeightKind::Control);
    for prompt in prompts() {
        let (prompt_ids, expected) = (ids(&prompt["ids"]), ids(&prompt["greedy"]));
        let options = GenerationOptions {
            max_tokens: expected.len(),
            stop: vec![],
            sampling: Sampling::Greedy,
            repetition_penalty: 1.0,
        };
        let mut cache = loaded.model.new_cache_with_precision(CachePrecision::F32);
        let generated =
            generate(&loaded.model, &prompt_ids, &mut cache, &options, None, &mut |_| true).unwrap();
        assert_eq!(generated.tokens, expected, "{}", prompt["text"]);
    }
}
