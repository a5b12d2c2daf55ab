//! Escapes text for HTML, Markdown, terminals and shells. Names come from files, so no text is trusted.

/// Escapes text for HTML and SVG, inside and outside of quoted attributes. Control characters, which XML does
/// not allow, become spaces. A percent sign stays on the line of its number.
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

/// Escapes running text and table cells of Markdown, so that they cannot begin markup or end a cell.
pub(crate) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        match c {
            // Within a word it begins no emphasis, and names often have it.
            '_' if previous.is_alphanumeric() && next.is_alphanumeric() => safe.push(c),
            '\\' | '`' | '*' | '_' | '<' | '>' | '|' | '~' | '&' => safe.extend(['\\', c]),
            // Intervals have many brackets, so only those that could begin a link are escaped.
            '(' | '[' | ':' if previous == ']' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
        previous = c;
    }
    safe
}

/// Escapes text for a terminal and wraps it at spaces into lines of at most `width` characters. A longer word
/// has a line of its own.
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

/// Does the same as [`wrapped`], but also breaks words that are longer than `width`, such as the
/// specification of a policy, after commas and similar characters.
pub(crate) fn broken(text: &str, width: usize) -> Vec<String> {
    let breaks = |c: char| [',', '{', '(', '/', '+', '|', '_', '-'].contains(&c);
    let mut lines = Vec::new();
    for line in wrapped(text, width) {
        if line.chars().count() <= width {
            lines.push(line);
            continue;
        }
        // The line is a single word.
        let mut piece = String::new();
        for part in line.split_inclusive(breaks) {
            if !piece.is_empty() && piece.chars().count() + part.chars().count() > width {
                lines.push(std::mem::take(&mut piece));
            }
            piece.push_str(part);
        }
        lines.push(piece);
    }
    lines
}

/// Escapes text for a terminal: the result is one line without escape sequences, whose long names are
/// shortened.
pub(crate) fn terminal(text: &str) -> String {
    bitkv_record::shown(&text.replace(['\n', '\r', '\t'], " "))
}

/// Quotes one argument of a command line for a POSIX shell, if it needs quotes.
pub(crate) fn shell(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

/// Escapes a relative path for a link: all bytes except letters, digits and the characters `/`, `-`, `_`, `.`
/// and `~` have a percent sign and two hex digits.
pub(crate) fn url_path(path: &str) -> String {
    let mut safe = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => safe.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => safe.push(char::from(byte)),
            byte => safe += &format!("%{byte:02X}"),
        }
    }
    safe
}

/// Returns the text in lower-case letters, digits and single hyphens, for file names and anchors.
pub(crate) fn slug(text: &str) -> String {
    let mapped: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    mapped.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_its_context() {
        assert_eq!(html("<a href='x'>&\"\u{1b}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot; ");
        assert_eq!(html("5 % of 7"), "5\u{a0}% of 7");
        assert_eq!(markdown("a|b *c* <d> [e](f)"), r"a\|b \*c\* \<d\> [e]\(f)");
        assert_eq!(markdown("kl_nats _x_ a__b _"), r"kl_nats \_x\_ a\_\_b \_");
        assert_eq!(markdown("0.5 [0.4, 0.6]\nnext"), "0.5 [0.4, 0.6] next");
        assert_eq!(terminal("a\u{1b}[31m\nb"), r"a\u{1b}[31m b");
        assert_eq!(
            wrapped("one two  three ausgesprochenlang é", 8),
            ["one two", "three", "ausgesprochenlang", "é"]
        );
        assert_eq!(
            broken("an uniform+window{kernel=7,recent=0} x", 14),
            ["an", "uniform+", "window{", "kernel=7,", "recent=0}", "x"]
        );
        assert_eq!(url_path("a#1 b/r%é.html"), "a%231%20b/r%25%C3%A9.html");
        assert_eq!(shell("--model"), "--model");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell(""), "''");
        assert_eq!(slug("KL: BitNet b1.58/2B--4T"), "kl-bitnet-b1-58-2b-4t");
    }
}
