//! Writes values as Python's `str` and `repr` do.

use std::fmt::{self, Write as _};

use minijinja::{Value, value::ValueKind};

/// Returns `str(value)`.
pub(super) fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.into(),
        None if value.is_undefined() => String::new(),
        None => represent(value),
    }
}

/// The filter `string`.
pub(super) fn text_of(value: &Value) -> String {
    text(value)
}

/// Returns `repr(value)`.
pub(super) fn represent(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text, 0);
    text
}

/// The largest depth of a value, and the largest text of one. Beyond them, a value is written as `...`, which
/// Python writes for a list inside itself.
const MOST_DEPTH: usize = 100;
const MOST_BYTES: usize = 16 << 20;

fn write(value: &Value, text: &mut String, depth: usize) {
    if depth > MOST_DEPTH || text.len() > MOST_BYTES {
        return text.push_str("...");
    }
    match value.kind() {
        ValueKind::String => write_quoted(value.as_str().unwrap_or_default(), text),
        ValueKind::Undefined => text.push_str("Undefined"),
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            Ok(number) => text.push_str(&float(number)),
            Err(_) => text.push_str(&value.to_string()),
        },
        ValueKind::Map if is_plain(value) => {
            let pairs = value.try_iter().into_iter().flatten();
            let pairs = pairs.map(|key| (value.get_item(&key).unwrap_or_default(), key));
            let write_pair = |(item, key): &(Value, Value), text: &mut String| {
                write(key, text, depth + 1);
                text.push_str(": ");
                write(item, text, depth + 1);
            };
            write_all("{", pairs, "}", write_pair, text);
        }
        ValueKind::Seq if is_plain(value) => {
            let items: Vec<Value> = value.try_iter().into_iter().flatten().collect();
            let (open, close) = match (value.is_tuple(), items.len()) {
                (true, 1) => ("(", ",)"),
                (true, _) => ("(", ")"),
                (false, _) => ("[", "]"),
            };
            let write_item = |item: &Value, text: &mut String| write(item, text, depth + 1);
            write_all(open, items.into_iter(), close, write_item, text);
        }
        _ => text.push_str(&value.to_string()),
    }
}

/// Whether a container has no text of a kind that its type defines.
fn is_plain(value: &Value) -> bool {
    let mut first = First(None);
    // The error only says that writing was stopped after the first character.
    let _ = write!(first, "{value}");
    matches!(first.0, Some('[' | '{' | '('))
}

/// Keeps the first character that is written to it, and stops writing. A value can contain itself, so that
/// its text has no end.
struct First(Option<char>);

impl fmt::Write for First {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text.chars().next();
        if self.0.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Writes items between commas.
fn write_all<T>(
    open: &str,
    items: impl Iterator<Item = T>,
    close: &str,
    write: impl Fn(&T, &mut String),
    text: &mut String,
) {
    text.push_str(open);
    for (i, item) in items.enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        write(&item, text);
    }
    text.push_str(close);
}

/// Writes a text in the quotes that Python chooses, with Python's escapes.
fn write_quoted(content: &str, text: &mut String) {
    let quote = if content.contains('\'') && !content.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for c in content.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            c if c == quote => text.extend(['\\', c]),
            c if is_printable(c) => text.push(c),
            c if (c as u32) < 0x100 => text.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x1_0000 => text.push_str(&format!("\\u{:04x}", c as u32)),
            c => text.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    text.push(quote);
}

/// Whether Python prints a character as it is: control characters and all spaces but `' '` are escaped.
fn is_printable(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{2028}' | '\u{2029}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_format)
}

/// Returns `repr(number)`: the shortest digits, with an exponent below 1e-4 and from 1e16.
pub(super) fn float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "nan".into()
        } else if number > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        return with_exponent(&format!("{number:e}"));
    }
    let digits = number.to_string();
    if digits.contains('.') { digits } else { digits + ".0" }
}

/// Returns a number in Rust's notation `1.5e-7` with at least two digits and a sign in the exponent.
pub(super) fn with_exponent(number: &str) -> String {
    let (digits, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_in_python() {
        let cases = [
            (1.0, "1.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (-0.0, "-0.0"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
        ];
        for (number, expected) in cases {
            assert_eq!(float(number), expected);
        }
    }
}
