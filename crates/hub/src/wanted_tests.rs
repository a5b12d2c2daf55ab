use super::*;

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| name.to_string()).collect()
}

fn id(text: &str) -> ModelId {
    ModelId::parse(text).expect(text)
}

fn of(list: &[&str]) -> Result<Wanted, Lack> {
    Wanted::of(&id("org/name"), &names(list))
}

#[test]
fn one_file_of_weights_comes_before_an_index_and_tokenizer_json_before_pieces() {
    let all = ["config.json", "tokenizer.json", "tokenizer.model", WEIGHTS, INDEX, "a.gguf", "x.bin"];
    let needed = ["config.json", "tokenizer.json", WEIGHTS].map(String::from).to_vec();
    assert_eq!(of(&all), Ok(Wanted::Checkpoint { needed, optional: vec![] }));
    let needed = ["config.json", "tokenizer.model", INDEX].map(String::from).to_vec();
    let rest = ["config.json", "tokenizer.model", INDEX];
    assert_eq!(of(&rest), Ok(Wanted::Checkpoint { needed, optional: vec![] }));
}

#[test]
fn a_copy_is_certain_when_every_other_name_is_known_to_be_absent() {
    let list = names(&["config.json", "tokenizer.json", WEIGHTS, "chat_template.jinja"]);
    let model = id("org/name");
    let wanted = Wanted::of(&model, &list).expect("complete");
    let absent: BTreeSet<_> = Wanted::absent(&list).collect();
    assert!(absent.contains("tokenizer.model") && !absent.contains("chat_template.jinja"));
    assert!(wanted.is_certain(&model, &list, |name| absent.contains(name)));
    assert!(!wanted.is_certain(&model, &list, |_| false));
    for name in ["generation_config.json", "tokenizer_config.json", "added_tokens.json"] {
        assert!(!wanted.is_certain(&model, &list, |gone| gone != name), "{name}");
    }
    let pieces = names(&["config.json", "tokenizer.model", WEIGHTS]);
    let wanted = Wanted::of(&model, &pieces).expect("complete");
    assert!(!wanted.is_certain(&model, &pieces, |gone| gone != "tokenizer.json"));
}

#[test]
fn long_lists_are_cut() {
    let list: Vec<String> = (0..20).map(|i| format!("{i:02}.gguf")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let message = of(&list).expect_err("a choice").to_string();
    assert!(
        message.contains("07.gguf and 12 more)") && message.contains("`org/name/00.gguf@main`"),
        "{message}"
    );
}

#[test]
fn an_index_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(INDEX);
    let read = |content: &str| {
        fs::write(&path, content).expect("written");
        shards(&id("org/name"), &path)
    };
    let good = r#"{"metadata": {}, "weight_map": {"a": "1.safetensors", "b": "1.safetensors"}}"#;
    assert_eq!(read(good).expect("an index"), names(&["1.safetensors"]));
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"weight_map": {}}"#,
        r#"{"weight_map": {"a": 1}}"#,
        r#"{"weight_map": {"a": "x.py"}}"#,
    ] {
        let message = read(bad).expect_err(bad).to_string();
        assert!(message.contains(INDEX) && message.contains("run again"), "{message}");
    }
    let message = read(r#"{"weight_map": {"a": "../1.safetensors"}}"#).expect_err("unsafe").to_string();
    assert!(message.contains("`../1.safetensors`"), "{message}");
}

#[test]
fn a_huge_index_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(INDEX);
    fs::File::create(&path).and_then(|file| file.set_len(MAX_INDEX + 1)).expect("a sparse file");
    let message = shards(&id("org/name"), &path).expect_err("too large").to_string();
    assert!(message.contains("it has 67108865 bytes"), "{message}");
}
