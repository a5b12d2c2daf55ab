//! Chat templates equal the texts that transformers renders; `testdata/chat-templates/make.py` wrote them.

use std::collections::BTreeMap;

use bitkv_tokenizer::{Chat, Message};
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    date: String,
    messages: Vec<Message>,
    tokens: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    /// The text of transformers; `None` if it fails.
    text: Option<String>,
    error: Option<String>,
}

/// Templates that transformers renders and `Chat` refuses.
const REFUSED: [&str; 15] = [
    "'a' * -1",
    "dict.fromkeys(['a', 'b'], 0)",
    "'a b' | urlencode",
    "'abcdefghij klm' | truncate(8)",
    "'abcdefghij klm' | truncate(8, true)",
    "'aa bb cc' | wordwrap(5)",
    "'<b>x</b> y' | striptags",
    "{'a': 1} | xmlattr",
    "'{!r}'.format('a')",
    "'a\\tb'.expandtabs(4)",
    "'abc'.encode()",
    "cycler('a', 'b').next()",
    "2 ** 200",
    "macro with varargs and kwargs",
    "autoescape",
];

/// Templates on which transformers fails and that `Chat` renders.
const ACCEPTED: [&str; 6] = [
    "'a' < 1",
    "'a' > none",
    "1.",
    "messages | sum(attribute='x')",
    "namespace of a private name",
    "a for over none",
];

fn document() -> Document {
    serde_json::from_str(include_str!("../../testdata/chat-templates/cases.json")).unwrap()
}

#[test]
fn templates_render_as_in_transformers() {
    let document = document();
    let tokens: Vec<(&str, &str)> = document.tokens.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let mut different = Vec::new();
    for case in &document.cases {
        let chat = Chat::new(&case.template, "chat_template.jinja", &tokens);
        let chat = chat.and_then(|chat| chat.on_date(&document.date));
        let rendered = chat.and_then(|chat| chat.render(&document.messages, true));
        let is_equal = match (&rendered, &case.text) {
            (Ok(text), Some(expected)) => text == expected,
            (Err(_), None) => true,
            (Err(_), Some(_)) => REFUSED.contains(&case.name.as_str()),
            (Ok(_), None) => ACCEPTED.contains(&case.name.as_str()),
        };
        if !is_equal {
            let rendered = rendered.map_err(|error| error.to_string());
            different.push(format!(
                "{}\n  ours   {rendered:?}\n  theirs {:?} {:?}",
                case.name, case.text, case.error
            ));
        }
    }
    let (count, all) = (different.len(), document.cases.len());
    assert!(different.is_empty(), "{count} of {all} differ:\n{}", different.join("\n"));
}
