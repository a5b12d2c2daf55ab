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
    for (template, reason) in [
        ("\n{% do messages %}", "line 2: the chat template fails: the tag `do` is not supported"),
        ("{% generation %}", "the tag `generation` has no `endgeneration`"),
        ("{% with %}{% endgeneration %}", "the tag `endgeneration` ends no `generation`"),
        ("{% generation x %}{% endgeneration %}", "the tag `generation` has arguments"),
        ("{{ '\\N{BULLET}' }}", "escapes with the name of a character are not supported"),
        ("{{ messages | xmlattr }}", "filter xmlattr is unknown"),
        ("{% macro f(a, b=a ~ 'x') %}{{ b }}{% endmacro %}{{ f('q') }}", "uses the argument `a`"),
        ("", "it is empty"),
        ("\u{feff} \n", "it is empty"),
    ] {
        assert!(failing(template).contains(reason), "{}", failing(template));
    }
}

#[test]
fn the_date_is_today_or_fixed() {
    let chat = || Chat::new("\u{feff}{{ strftime_now('%d %b %Y') }}", "x", &[]).unwrap();
    assert_eq!(chat().on_date("2024-02-29").unwrap().render(&[], false).unwrap(), "29 Feb 2024");
    let today = chat().render(&[], false).unwrap();
    assert!(today.len() == 11 && !today.ends_with("2024"), "{today}");
    // What Python's strftime and markupsafe write.
    let all = "{{ strftime_now('%c|%x|%X') }} {{ '<a href=\"b\">it\\'s</a> &' | e }}";
    let all = Chat::new(all, "x", &[]).unwrap().on_date("2026-07-06").unwrap().render(&[], false).unwrap();
    let python = "Mon Jul  6 00:00:00 2026|07/06/26|00:00:00";
    assert_eq!(all, format!("{python} &lt;a href=&#34;b&#34;&gt;it&#39;s&lt;/a&gt; &amp;"));
    let macros = "{% macro f(a, b='a', c={'k': 1}.k, k=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}";
    assert_eq!(Chat::new(macros, "x", &[]).unwrap().render(&[], false).unwrap(), "1a");
    let error = chat().on_date("2023-02-29").err().unwrap().to_string();
    assert!(error.contains("2023-02-29 is not a date") && error.contains("YYYY-MM-DD"), "{error}");
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
    for doubling in [
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = [n.x, n.x] | join %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = '%s%s' % (n.x, n.x) %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = '{0}{0}'.format(n.x) %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x.replace('a', n.x) %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x | replace('a', n.x) %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x * 2 %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
        "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}",
        "{% macro f(x, i) %}{% if i %}{{ f(x ~ x, i - 1) }}{% endif %}{% endmacro %}{{ f('ab', 40) }}",
    ] {
        let error = rendered(doubling).unwrap_err().to_string();
        assert!(error.contains("too long") || error.contains("too large"), "{doubling}: {error}");
    }
    // No template is deep enough for the end of the stack.
    let many = |text: &str| text.repeat(100_000);
    let loops = |count: usize| "{% for i in [1] %}".repeat(count) + &"{% endfor %}".repeat(count);
    for deep in [
        format!("{{{{ {}1", many("(")),
        format!("{{{{ {}1{} }}}}", many("["), many("]")),
        format!("{{{{ {}1 }}}}", many("not ")),
        format!("{{{{ {}1 }}}}", many("-")),
        format!("{{{{ 1{} }}}}", many("|abs")),
        format!("{{{{ 1{} }}}}", many("+1")),
        format!("{{{{ a{} }}}}", many(".b")),
        format!("{{{{ 1{} }}}}", many(" if 1 else 2")),
        loops(100_000),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(50_000)),
    ] {
        assert!(Chat::new(&deep, "x", &[]).is_err(), "{}", &deep[..40]);
    }
    // These have as many parts as are allowed.
    let some = |text: &str, count: usize| text.repeat(count);
    for wide in [
        format!("{{{{ {}1 }}}}", some("not ", 1_900)),
        format!("{{{{ 1{} }}}}", some("|abs", 900)),
        format!("{{{{ 1{} }}}}", some("+1", 900)),
        format!("{{% if a %}}{}{{% endif %}}", some("{% elif a %}", 900)),
    ] {
        let _ = Chat::new(&wide, "x", &[]).map(|chat| chat.render(&talk(), true));
    }
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
