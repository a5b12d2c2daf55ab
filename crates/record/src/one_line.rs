//! Makes a message fit to be shown on one line, although files that it quotes may hold any characters.

/// The most characters of a quoted name, value or shape that a message shows.
const MOST_QUOTED: usize = 200;
/// The most characters of a message. A definition with many gaps needs more than a thousand.
const MOST: usize = 2_000;
/// The characters at the end of a long message that are shown, because the remedy is at the end.
const END: usize = 150;

/// Returns a message as one line, for a row or a terminal: each line break with the white space around it
/// becomes one space. What it quotes is shown as by [`shown`], and at most 2,000 characters are left.
pub fn one_line(message: &str) -> String {
    let line = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let line = shown(&line);
    let length = line.chars().count();
    if length <= MOST {
        return line;
    }
    let start: String = line.chars().take(MOST - END - 1).collect();
    let end: String = line.chars().skip(length - END).collect();
    format!("{start}…{end}")
}

/// Returns a text for a terminal. Names and values that it quotes are shortened to 200 characters. Escapes
/// such as `\u{202e}` replace control characters, and characters that change the order or the look of the
/// text around them.
pub fn shown(text: &str) -> String {
    shortened_words(&shortened_quotes(&visible(text)))
}

/// Returns a text with escapes in the place of characters that a terminal would obey.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || is_format(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

/// Whether a character has no shape of its own and changes how other characters are shown.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Shortens what stands between two marks of quotation or brackets.
fn shortened_quotes(line: &str) -> String {
    let (mut shown, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(['`', '"', '[']) {
        let (before, quoted) = rest.split_at(at);
        let close = if quoted.starts_with('[') { ']' } else { char::from(quoted.as_bytes()[0]) };
        let Some(end) = quoted[1..].find(close) else { break };
        shown += before;
        shown += &quoted[..1];
        shown += &shortened(&quoted[1..1 + end]);
        shown.push(close);
        rest = &quoted[end + 2..];
    }
    shown + rest
}

/// Shortens words, such as long names and paths without quotes.
fn shortened_words(line: &str) -> String {
    line.split(' ').map(shortened).collect::<Vec<_>>().join(" ")
}

/// Returns the first characters of a text, and how many it has, if it is long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
        // A text without spaces that was already shortened keeps the mark.
        Some(_) if text.contains("…(") => text.into(),
        Some((at, _)) => format!("{}…({} characters)", &text[..at], text.chars().count()),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_become_spaces() {
        assert_eq!(one_line("no plan:\n  too \"small\", by 3\r\n"), "no plan: too \"small\", by 3");
    }

    #[test]
    fn characters_that_a_terminal_obeys_are_escaped() {
        let long = one_line(&format!("`{}`: remove it", "\u{202e} ".repeat(1_000)));
        assert!(long.chars().count() < 300, "{long}");
        assert_eq!(one_line("`a\u{202e}b\u{1b}[2J\u{200b}é漢`"), r"`a\u{202e}b\u{1b}[2J\u{200b}é漢`");
    }

    #[test]
    fn long_quotes_are_shortened_and_the_remedy_stays() {
        for (open, close) in [("`", "`"), ("\"", "\""), ("[", "]"), ("", "")] {
            let name = "x".repeat(5_000);
            let line = one_line(&format!("m/config.json: {open}{name}{close} is wrong: remove it"));
            assert!(line.contains(&"x".repeat(200)) && !line.contains(&"x".repeat(201)), "{line}");
            assert!(line.contains("…(5000 characters)") && line.ends_with(" is wrong: remove it"), "{line}");
        }
        let shape =
            format!("has the shape [{}], but must have 2 dimensions: use others", "1, ".repeat(10_000));
        assert!(one_line(&shape).chars().count() < 300);
    }

    #[test]
    fn a_message_has_at_most_2000_characters() {
        let line = one_line(&format!("a.gguf: {}: download it again", "`x` ".repeat(5_000)));
        assert_eq!(line.chars().count(), 2_000);
        assert!(line.starts_with("a.gguf") && line.ends_with(": download it again"), "{line}");
    }
}
