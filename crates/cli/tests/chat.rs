//! `bitkv generate --chat`: prompts in a model's chat template.

mod support;

use serde_json::{Value, json};
use support::{
    Place, count, list,
    model::{BUILT_IN, Copy},
};

/// A template that writes the role of each message.
const TEMPLATE: &str = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}\
                        {% if add_generation_prompt %}assistant:{% endif %}";

fn talk(place: &Place, model: &str, more: &[&str]) -> Value {
    place.json(&[&["generate", "--model", model, "--greedy", "--max-tokens", "8"], more].concat())
}

/// Generates after a text without its first token: a rendered template gets no special tokens.
fn bare(place: &Place, text: &str) -> Value {
    let whole = talk(place, "talker", &["--prompt", text]);
    let (first, rest) = list(&whole["prompt_tokens"]).split_first().unwrap();
    assert_eq!(first, 0);
    place.write("bare.json", serde_json::to_string(rest).unwrap());
    talk(place, "talker", &["--tokens", "bare.json"])
}

#[test]
fn chat() {
    let place = Place::new();
    let folder = Copy::new(&place, "talker");
    folder.with("tokenizer_config.json", json!({"chat_template": TEMPLATE}).to_string());
    let rendered = bare(&place, "user: hello there\nassistant:");
    let chatted = talk(&place, "talker", &["--chat", "--prompt", "hello there"]);
    for key in ["prompt_tokens", "tokens", "text"] {
        assert_eq!(chatted[key], rendered[key], "{key}");
    }
    let rendered = bare(&place, "system: be brief\nuser: hello\nassistant:");
    let system = ["--chat", "--system", "be brief", "--prompt", "hello"];
    assert_eq!(talk(&place, "talker", &system)["prompt_tokens"], rendered["prompt_tokens"]);
    // A conversion to GGUF and back keeps the template.
    place.text(&["convert", "talker", "talker.gguf", "--to", "i2_s"]);
    place.text(&["convert", "talker.gguf", "back", "--to", "packed"]);
    for model in ["talker.gguf", "back"] {
        assert_eq!(talk(&place, model, &system)["prompt_tokens"], rendered["prompt_tokens"], "{model}");
    }
}

/// If the template writes the first token, it is not added again.
#[test]
fn the_first_token_occurs_once() {
    let place = Place::new();
    let template = format!("{{{{ bos_token }}}}{TEMPLATE}");
    for (i, token) in [json!("<s>"), json!({"content": "<s>"})].into_iter().enumerate() {
        let [folder, file, back] = ["folder", "file.gguf", "back"].map(|end| format!("{i}-{end}"));
        let config = json!({"chat_template": template, "bos_token": token});
        Copy::new(&place, &folder).with("tokenizer_config.json", config.to_string());
        place.text(&["convert", &folder, &file, "--to", "i2_s"]);
        place.text(&["convert", &file, &back, "--to", "packed"]);
        let rendered = talk(&place, &folder, &["--prompt", "user: hello\nassistant:"]);
        for model in [&folder, &file, &back] {
            let chatted = talk(&place, model, &["--chat", "--prompt", "hello"]);
            assert_eq!(chatted["prompt_tokens"], rendered["prompt_tokens"], "{model}");
        }
    }
}

/// A model without a template gets the published one only if it has the special tokens of the published
/// model.
#[test]
fn models_without_a_template() {
    let place = Place::new();
    let folder = Copy::new(&place, "talker");
    let chat = ["--chat", "--prompt", "hello"];
    place
        .refuses(&[&["generate", "--model", "talker"], &chat[..]].concat(), &["talker has no chat template"]);
    folder.change_json("tokenizer.json", |tokenizer| {
        let mut turn_end = tokenizer["added_tokens"][1].clone();
        turn_end["content"] = "<|eot_id|>".into();
        tokenizer["added_tokens"][1] = turn_end;
        let words = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        let id = words.remove("</s>").unwrap();
        words.insert("<|eot_id|>".into(), id);
    });
    let prompt = list(&talk(&place, "talker", &chat)["prompt_tokens"]).iter().map(count).collect::<Vec<_>>();
    assert_eq!(prompt.iter().filter(|id| **id == 1).count(), 1, "the user's turn ends");
}

#[test]
fn missing_and_broken_templates_are_refused() {
    let place = Place::new();
    let chat = |model| ["generate", "--model", model, "--chat", "--prompt", "hi"];
    place.refuses(&chat(BUILT_IN), &[BUILT_IN, "not trained for chat", "without --chat"]);
    let folder = Copy::new(&place, "talker");
    for (template, says) in [
        ("{% for m in messages %}", "unexpected end of input"),
        ("{{ raise_exception('no system here') }}", "no system here"),
    ] {
        folder.with("tokenizer_config.json", json!({"chat_template": template}).to_string());
        place.refuses(&chat("talker"), &["talker/tokenizer_config.json", "chat template", says]);
    }
}
