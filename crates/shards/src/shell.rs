//! Quotes texts for a POSIX shell.

/// Returns the text as one word of a shell. Words of plain characters stay as they are.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quoted;

    #[test]
    fn bash_reads_every_text_back() {
        for text in
            ["", "plain/a-b_c.d", "two words", "it's", "\"$HOME\" `id` \\ * ~ # ! ;&|<>", "~", "ä\u{3000}"]
        {
            let script = format!("printf %s {}", quoted(text));
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(quoted("a/b-1.toml"), "a/b-1.toml");
    }
}
