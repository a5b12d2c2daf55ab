use std::collections::BTreeMap;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Settings::from_env(|key| variables.get(key).map(OsString::from))
}

#[test]
fn the_cache_is_where_huggingface_hub_has_it() {
    let all = [
        ("HF_HUB_CACHE", "/a"),
        ("HUGGINGFACE_HUB_CACHE", "/b"),
        ("HF_HOME", "/c"),
        ("XDG_CACHE_HOME", "/d"),
        ("HOME", "/e"),
    ];
    for (skip, expected) in
        ["/a", "/b", "/c/hub", "/d/huggingface/hub", "/e/.cache/huggingface/hub"].into_iter().enumerate()
    {
        assert_eq!(read(&all[skip..]).expect("valid").cache, Path::new(expected));
    }
    let message = read(&[]).expect_err("no home").to_string();
    assert!(message.contains("HF_HOME"), "{message}");
}

#[test]
fn an_empty_variable_is_unset_and_a_tilde_is_the_home() {
    let settings = read(&[("HF_HUB_CACHE", ""), ("HF_HOME", "~/models"), ("HOME", "/e")]).expect("valid");
    assert_eq!(settings.cache, Path::new("/e/models/hub"));
    assert_eq!(settings.endpoint, "https://huggingface.co");
}

#[test]
fn yes_has_four_spellings() {
    for (value, offline) in
        [("1", true), ("True", true), ("ON", true), ("yes", true), ("0", false), ("2", false), ("", false)]
    {
        let settings = read(&[("HOME", "/e"), ("HF_HUB_OFFLINE", value)]).expect("valid");
        assert_eq!(settings.offline, offline, "{value:?}");
    }
}

#[test]
fn a_token_comes_from_the_environment_before_any_file() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "of-home\n").expect("written");
    fs::write(folder.path().join("other"), "of-path").expect("written");
    let (home, other) = (folder.path().display().to_string(), folder.path().join("other"));
    let all = [("HF_TOKEN", "of-env"), ("HF_TOKEN_PATH", other.to_str().expect("text")), ("HF_HOME", &home)];
    for (skip, expected) in ["of-env", "of-path", "of-home"].into_iter().enumerate() {
        let token = read(&all[skip..]).expect("valid").token.expect("a token");
        assert_eq!(token.reveal(), expected);
    }
    let quiet = [&all[..], &[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]].concat();
    assert_eq!(read(&quiet).expect("valid").token, None);
}

#[test]
fn a_missing_or_empty_token_file_is_no_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().display().to_string();
    assert_eq!(read(&[("HF_HOME", &home)]).expect("valid").token, None);
    fs::write(folder.path().join("token"), " \n").expect("written");
    assert_eq!(read(&[("HF_HOME", &home)]).expect("valid").token, None);
}

#[test]
fn a_token_is_never_shown() {
    let message = read(&[("HOME", "/e"), ("HF_TOKEN", "hf_se cret")]).expect_err("a space").to_string();
    assert!(message.contains("HF_TOKEN") && !message.contains("cret"), "{message}");
    let settings = read(&[("HOME", "/e"), ("HF_TOKEN", "hf_secret")]).expect("valid");
    assert!(!format!("{settings:?}").contains("secret"));
}
