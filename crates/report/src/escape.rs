//! Text made safe for the place it is put in. Names come from files, so none of it is trusted.

/// For HTML and SVG, in text and in quoted attributes. Control characters, which XML cannot hold, become spaces; a
/// percent sign stays on the line of its number.
pub(crate) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            ' ' if characters.peek() == Some(&'%') => safe.push('\u{a0}'),
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// For running text and table cells of Markdown: nothing in it can begin markup or end a cell.
pub(crate) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        match c {
            // Within a word it begins nothing, and names are full of it.
            '_' if previous.is_alphanumeric() && next.is_alphanumeric() => safe.push(c),
            '\\' | '`' | '*' | '_' | '<' | '>' | '|' | '~' | '&' => safe.extend(['\\', c]),
            // A bracket alone is only a bracket, and intervals are full of them; this is how a link begins.
            '(' | '[' | ':' if previous == ']' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
        previous = c;
    }
    safe
}

/// For a terminal, broken at spaces into lines of at most `width` characters; a longer word keeps its line.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in terminal(text).split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// For a terminal: one line, and no escape sequence gets through.
pub(crate) fn terminal(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// One argument of a command line for a POSIX shell.
pub(crate) fn shell(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

/// Lower-case letters, digits and single hyphens: for file names and anchors.
pub(crate) fn slug(text: &str) -> String {
    let mapped: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    mapped.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_place() {
        assert_eq!(html("<a href='x'>&\"\u{1b}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot; ");
        assert_eq!(html("5 % of 7"), "5\u{a0}% of 7");
        assert_eq!(markdown("a|b *c* <d> [e](f)"), r"a\|b \*c\* \<d\> [e]\(f)");
        assert_eq!(markdown("kl_nats _x_ a__b _"), r"kl_nats \_x\_ a\_\_b \_");
        assert_eq!(markdown("0.5 [0.4, 0.6]\nnext"), "0.5 [0.4, 0.6] next");
        assert_eq!(terminal("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(
            wrapped("one two  three ausgesprochenlang é", 8),
            ["one two", "three", "ausgesprochenlang", "é"]
        );
        assert_eq!(shell("--model"), "--model");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell(""), "''");
        assert_eq!(slug("KL: BitNet b1.58/2B--4T"), "kl-bitnet-b1-58-2b-4t");
    }
}
