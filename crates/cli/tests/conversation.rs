//! `bitkv generate --chat` without a prompt: several turns with one cache.

mod support;

use std::{
    io::Write,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use support::{Place, count, list, model::Copy};

const TEMPLATE: &str = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] | trim }}\n{% endfor %}\
                        {% if add_generation_prompt %}assistant:{% endif %}";

const TALK: [&str; 6] = ["generate", "--model", "talker", "--greedy", "--max-tokens", "8"];

fn talker(template: &str) -> Place {
    let place = Place::new();
    let folder = Copy::new(&place, "talker");
    folder.with("tokenizer_config.json", json!({"chat_template": template}).to_string());
    place
}

/// Runs a command with this standard input.
fn with_input(place: &Place, input: &str, more: &[&str]) -> Output {
    let mut command = place.command(&[&TALK[..], &["--chat"], more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments may end before it reads the input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn turns(place: &Place, input: &str, more: &[&str]) -> Vec<Value> {
    let output = with_input(place, input, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    list(&document["turns"]).to_vec()
}

/// The second answer equals that of one prompt with all tokens of the conversation.
#[test]
fn turns_continue_one_cache() {
    let place = talker(TEMPLATE);
    let turns = turns(&place, "hello there\n\nand then\n", &[]);
    assert_eq!(turns.len(), 2, "an empty line is skipped");
    assert!(turns.iter().all(|turn| turn["read_again"] == false));
    let mut ids: Vec<Value> = list(&turns[0]["prompt_tokens"]).to_vec();
    let answer = list(&turns[0]["tokens"]);
    // The last generated token is read with the next prompt, unless a stop token came after it.
    let read_later = usize::from(turns[0]["stop"] == "max tokens");
    ids.extend_from_slice(&answer[..answer.len() - read_later]);
    ids.extend_from_slice(list(&turns[1]["prompt_tokens"]));
    place.write("all.json", Value::from(ids).to_string());
    let whole = place.json(&[&TALK[..], &["--tokens", "all.json"]].concat());
    assert_eq!((&turns[1]["tokens"], &turns[1]["cache_bytes"]), (&whole["tokens"], &whole["cache_bytes"]));
    let first = place.json(&[&TALK[..], &["--chat", "--prompt", "hello there"]].concat());
    assert_eq!(turns[0]["tokens"], first["tokens"]);
}

#[test]
fn answers_are_printed_without_json() {
    let place = talker(TEMPLATE);
    let output = with_input(&place, "hello there\nand then", &[]);
    let texts: Vec<String> = turns(&place, "hello there\nand then", &[])
        .iter()
        .map(|t| t["text"].as_str().unwrap().into())
        .collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n{}\n", texts[0], texts[1]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("> ") && said.matches("tokens/s").count() == 2, "{said}");
}

#[test]
fn the_policy_is_applied_after_every_turn() {
    let place = talker(TEMPLATE);
    let policy = ["--policy", "streaming-llm", "--budget-tokens", "10", "--positions", "rerotated"];
    let turns = turns(&place, "hello there my friend\nand what then\nand now\n", &policy);
    let kept: Vec<usize> = turns.iter().map(|turn| count(&turn["kept_entries"])).collect();
    assert!(kept.iter().all(|k| *k == kept[0]) && kept[0] > 0, "{kept:?}");
    assert_eq!(turns.iter().map(|turn| count(&turn["evictions"])).collect::<Vec<_>>(), [1, 2, 3]);
    let refused = with_input(&place, "hi\n", &["--policy", "uniform+kvzip", "--budget", "0.5"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot evict repeatedly"));
}

/// A template that shows only the last message does not extend what was read.
#[test]
fn a_template_that_changes_earlier_turns_is_read_again() {
    let place = talker("{{ messages[-1]['content'] }} ->");
    let turns = turns(&place, "hello there\nand then\n", &[]);
    assert_eq!((&turns[0]["read_again"], &turns[1]["read_again"]), (&json!(false), &json!(true)));
    let alone = place.json(&[&TALK[..], &["--chat", "--prompt", "and then"]].concat());
    assert_eq!(
        (&turns[1]["tokens"], &turns[1]["prompt_tokens"]),
        (&alone["tokens"], &alone["prompt_tokens"])
    );
    let output = with_input(&place, "hello there\nand then\n", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is read again"));
}

#[test]
fn an_empty_input_is_refused() {
    let output = with_input(&talker(TEMPLATE), "\n", &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no message"));
}
