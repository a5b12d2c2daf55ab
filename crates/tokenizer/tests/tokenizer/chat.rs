//! Chat templates.

use bitkv_tokenizer::{Chat, Message, Tokenizer, TokenizerOptions};
use serde_json::json;

use crate::model_file;

fn talk() -> Vec<Message> {
    vec![
        Message::new("system", " Be brief. "),
        Message::new("user", "What is 1 + 1?\n"),
        Message::new("assistant", "2"),
        Message::new("user", "Éa?"),
    ]
}

/// The template in `tokenizer_config.json` of microsoft/bitnet-b1.58-2B-4T.
const PUBLISHED: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

#[test]
fn the_built_in_template_equals_the_published_one() {
    let chat = Chat::bitnet_2b_4t();
    let expected = "<|begin_of_text|>System: Be brief.<|eot_id|>User: What is 1 + 1?<|eot_id|>\
        Assistant: 2<|eot_id|>User: Éa?<|eot_id|>";
    assert_eq!(chat.render(&talk(), false).unwrap(), expected);
    assert_eq!(chat.render(&talk(), true).unwrap(), format!("{expected}Assistant: "));
    assert_eq!(chat.render(&[], true).unwrap(), "Assistant: ");
    let published =
        Chat::new(PUBLISHED, "tokenizer_config.json", &[("bos_token", "<|begin_of_text|>")]).unwrap();
    for messages in [talk(), vec![Message::new("user", "a<|eot_id|>b\n\n  c")]] {
        for prompt in [true, false] {
            assert_eq!(chat.render(&messages, prompt).unwrap(), published.render(&messages, prompt).unwrap());
        }
    }
    let tags = Chat::from_gguf("{{ 'Human: ' }}BITNETAssistant: ", "model.gguf", &[]).unwrap();
    assert_eq!(tags.render(&talk(), false).unwrap(), expected);
    assert_eq!(
        Chat::from_gguf("{{ bos_token }}!", "x", &[("bos_token", "<s>")])
            .unwrap()
            .render(&[], false)
            .unwrap(),
        "<s>!"
    );
}

#[test]
fn the_ids_of_a_chat_have_bos_once_and_each_turn_ends() {
    let (file, ranks) = model_file::tiktoken();
    let options = TokenizerOptions { bos: None, vocab_size: ranks.len() + 256 };
    let tokenizer = Tokenizer::from_tiktoken_bytes(&file, "tokenizer.model", &options).unwrap();
    let bos = tokenizer.special_ids().bos.unwrap();
    let end = tokenizer.id("<|eot_id|>").unwrap();
    let text = Chat::bitnet_2b_4t().render(&talk(), true).unwrap();
    let ids = tokenizer.encode_bare(&text).unwrap();
    assert_eq!((ids[0], ids.iter().filter(|id| **id == bos).count()), (bos, 1));
    let turns: Vec<String> = ids.split(|id| *id == end).map(|turn| tokenizer.decode(turn).unwrap()).collect();
    let expected = ["System: Be brief.", "User: What is 1 + 1?", "Assistant: 2", "User: Éa?", "Assistant: "];
    assert_eq!(turns, expected);
}

#[test]
fn block_tags_leave_no_blank_lines_and_python_methods_work() {
    let template = "\
{% for message in messages %}
    {% if message.role.startswith('s') and message['content'].strip() %}
<<SYS>>{{ message.content.strip().upper() }}
    {% elif message['role'] == 'user' %}
[{{ loop.index }}|{{ message.get('content').split('?')[0] }}|{{ message.items() | length }}]
    {% else %}
{{ message | tojson }}{{ eos_token }}{{ nothing }}
        {% continue %}
    {% endif %}
{% endfor %}
";
    let chat = Chat::new(template, "chat_template.jinja", &[("eos_token", "</s>")]).unwrap();
    let expected = "<<SYS>>BE BRIEF.\n[2|What is 1 + 1|2]\n{\"role\": \"assistant\", \"content\": \"2\"}</s>\n[4|Éa|2]\n";
    assert_eq!(chat.render(&talk(), false).unwrap(), expected);
    let json = Chat::new("{{ messages[0].content | tojson(indent=2) }}", "x", &[]).unwrap();
    assert_eq!(
        json.render(&[Message::new("user", "<'é'&\">\\u003c")], false).unwrap(),
        r#""<'é'&\">\\u003c""#
    );
}

#[test]
fn a_template_that_fails_is_named_with_its_line() {
    let failing = |template: &str| {
        let chat = Chat::new(template, "folder/chat_template.jinja", &[]);
        chat.and_then(|chat| chat.render(&talk(), true)).unwrap_err().to_string()
    };
    let raised = failing("{% if true %}\n{{ raise_exception('roles must alternate') }}{% endif %}");
    let expected = "folder/chat_template.jinja, line 2: the chat template fails: roles must alternate; fix it or \
        pass the text as plain text";
    assert_eq!(raised, expected);
    let unfinished = failing("\n\n{% if true %}");
    assert!(
        unfinished.starts_with("folder/chat_template.jinja, line 3: the chat template fails:"),
        "{unfinished}"
    );
    // The engine may crash on this template, but no panic gets out.
    let backwards =
        Chat::new("{{ ''[::-1] }}{{ messages[::-1] | length }}", "x", &[]).unwrap().render(&talk(), false);
    assert!(backwards.is_ok_and(|text| text == "4") || failing("{{ ''[::-1] }}").contains("crashes"));
    let today = failing("{{ strftime_now('%d %b %Y') }}");
    assert!(today.contains("line 1") && today.contains("strftime_now"), "{today}");
    let asks = Chat::new(
        "{% if strftime_now is defined %}{{ strftime_now('%d') }}{% else %}26{% endif %}",
        "x",
        &[],
    );
    assert_eq!(asks.unwrap().render(&[], false).unwrap(), "26");
}

#[test]
fn templates_that_never_end_are_stopped() {
    let rendered = |template: &str| Chat::new(template, "x", &[]).unwrap().render(&talk(), true);
    let long =
        "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = i * j %}{% endfor %}{% endfor %}";
    let macros = "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}";
    assert!(rendered(long).unwrap_err().to_string().contains("it takes too many steps"));
    assert!(rendered(macros).is_err());
    assert!(rendered("{{ 'ab' * 1000000 }}").unwrap_err().to_string().contains("it writes too much"));
    let nested = format!("{{{{ {}1", "(".repeat(5000));
    assert!(Chat::new(&nested, "x", &[]).is_err());
    // A long conversation does not count as a hostile template.
    let many: Vec<Message> = (0..5000).map(|i| Message::new("user", format!("{i}").repeat(50))).collect();
    assert!(Chat::bitnet_2b_4t().render(&many, true).unwrap().len() > 900_000);
}

#[test]
fn a_folder_has_its_template_in_a_file_or_in_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let find = || Chat::from_folder(folder.path());
    let say = || find().unwrap().unwrap().render(&[Message::new("user", "hi")], false).unwrap();
    assert!(find().unwrap().is_none());
    write("tokenizer_config.json", json!({"bos_token": "<s>"}).to_string());
    assert!(find().unwrap().is_none());
    let template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}";
    write("tokenizer_config.json", json!({"bos_token": "<s>", "chat_template": template}).to_string());
    assert_eq!(say(), "<s>hi");
    let named = json!([{"name": "tool_use", "template": "no"}, {"name": "default", "template": template}]);
    let eos = json!({"content": "</s>", "lstrip": false});
    write("tokenizer_config.json", json!({"eos_token": eos, "chat_template": named}).to_string());
    assert_eq!(say(), "hi</s>");
    write("chat_template.jinja", format!("file: {template}\n"));
    assert_eq!(say(), "file: hi</s>");

    std::fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
    for (value, reason) in
        [(json!([]), "none of its `chat_template`s"), (json!(7), "neither a text nor a list")]
    {
        write("tokenizer_config.json", json!({"chat_template": value}).to_string());
        let error = find().err().unwrap().to_string();
        assert!(error.contains("tokenizer_config.json") && error.contains(reason), "{error}");
    }
}
