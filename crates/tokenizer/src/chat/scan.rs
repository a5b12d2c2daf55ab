//! Finds the tags of a template and the tokens in them, as Jinja's lexer does.

/// What a token of a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Name,
    Number,
    Text,
    Operator,
}

/// A token of a tag: its place in the template, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A tag of a template: `{{ ... }}`, or `{% ... %}` if `is_block`. Comments and raw blocks have no tags.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) is_block: bool,
    pub(super) start: usize,
    pub(super) tokens: Vec<Token>,
}

/// Returns the tags of a template, in order. The list ends where the template is damaged, which the template
/// engine reports.
pub(super) fn tags(source: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some((start, mark)) = next_start(source, at) {
        let inside = start + 2 + usize::from(source[start + 2..].starts_with(['-', '+']));
        let end = match mark {
            b'#' => source[start + 2..].find("#}").map(|length| start + 4 + length),
            b'%' if let Some(end) = simple_tag(source, start + 2, "raw") => raw_end(source, end),
            _ => {
                let is_block = mark == b'%';
                let (tokens, end) = tokens(source, inside, if is_block { "%}" } else { "}}" });
                tags.push(Tag { is_block, start, tokens });
                end
            }
        };
        match end {
            Some(end) => at = end,
            None => break,
        }
    }
    tags
}

/// Returns the place of the next `{{`, `{%` or `{#`, and its second byte.
fn next_start(source: &str, from: usize) -> Option<(usize, u8)> {
    let pairs = source.as_bytes()[from..].windows(2).enumerate();
    let mut marks = pairs.filter(|(_, pair)| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'));
    marks.next().map(|(offset, pair)| (from + offset, pair[1]))
}

/// Returns the end of a tag that has only a name, or `None` if another tag is there. `from` is after the
/// `{%` of the tag.
fn simple_tag(source: &str, from: usize, name: &str) -> Option<usize> {
    let rest = source[from..].strip_prefix(['-', '+']).unwrap_or(&source[from..]);
    let rest = rest.trim_ascii_start().strip_prefix(name)?.trim_ascii_start();
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix("%}")?;
    Some(source.len() - rest.len())
}

/// Returns the end of the `{% endraw %}` after a raw block's beginning.
fn raw_end(source: &str, from: usize) -> Option<usize> {
    let starts = source[from..].match_indices("{%").map(|(offset, _)| from + offset + 2);
    starts.into_iter().find_map(|start| simple_tag(source, start, "endraw"))
}

/// Returns the tokens of a tag and its end, or `None` for the end if the tag does not end.
fn tokens(source: &str, from: usize, close: &str) -> (Vec<Token>, Option<usize>) {
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        at += source[at..].len() - source[at..].trim_start().len();
        let rest = &source[at..];
        if depth == 0 {
            let end = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix(close);
            let end = end.or_else(|| rest.strip_prefix(close));
            if let Some(end) = end {
                return (tokens, Some(source.len() - end.len()));
            }
        }
        let Some((kind, length)) = token(rest) else { return (tokens, None) };
        match &rest[..length] {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
}

/// Returns the kind and the length of the token at the beginning of a text; `None` if no token is there.
fn token(rest: &str) -> Option<(TokenKind, usize)> {
    let first = rest.chars().next()?;
    if first == '"' || first == '\'' {
        return text_length(rest, first).map(|length| (TokenKind::Text, length));
    }
    if first.is_ascii_digit() {
        return Some((TokenKind::Number, number_length(rest.as_bytes())));
    }
    if first == '_' || first.is_alphabetic() {
        let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
        return Some((TokenKind::Name, end.unwrap_or(rest.len())));
    }
    let is_double = ["//", "**", "==", "!=", "<=", ">="].iter().any(|double| rest.starts_with(double));
    Some((TokenKind::Operator, if is_double { 2 } else { first.len_utf8() }))
}

/// Returns the length of a text in quotes; `None` if it does not end.
fn text_length(rest: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns the length of a number. A dot belongs to it only if a digit follows, as in `1.5` but not in
/// `0.role`.
fn number_length(bytes: &[u8]) -> usize {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_exponent = |at: usize| !bytes.starts_with(b"0x") && matches!(bytes[at], b'e' | b'E');
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let belongs = match byte {
            b'.' => is_digit(at + 1),
            b'+' | b'-' => at > 0 && is_exponent(at - 1) && is_digit(at + 1),
            byte => *byte == b'_' || byte.is_ascii_alphanumeric(),
        };
        if !belongs {
            break;
        }
        at += 1;
    }
    at
}
