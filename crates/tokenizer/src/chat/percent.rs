//! Formats texts as Python's `text % values` does.

use minijinja::{Error, ErrorKind, State, Value, value::ValueKind};

use super::{
    meter,
    python_text::{represent, text, with_exponent},
};

/// The largest width and precision.
const MOST_WIDTH: usize = 10_000;

/// The filter for the operator `%`: formats a text, or returns the rest of a division.
pub(super) fn percent(state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    match left.as_str() {
        Some(pattern) => format(pattern, right).map(Value::from),
        None => {
            let rest = state.env().compile_expression("left % right")?;
            rest.eval(Value::from_pairs([("left", left.clone()), ("right", right.clone())]))
        }
    }
}

/// The filter `format`: `text|format(a, b)` is `text % (a, b)`, and named values are a mapping.
pub(super) fn format_filter(pattern: &str, values: &[Value]) -> Result<Value, Error> {
    match values {
        [named] if named.is_kwargs() => format(pattern, named),
        _ => Formatter::new(pattern, values.to_vec(), None).format(),
    }
    .map(Value::from)
}

/// Returns `pattern % values`.
fn format(pattern: &str, values: &Value) -> Result<String, Error> {
    if values.is_tuple() {
        return Formatter::new(pattern, values.try_iter()?.collect(), None).format();
    }
    let named = (values.kind() == ValueKind::Map).then(|| values.clone());
    Formatter::new(pattern, vec![values.clone()], named).format()
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// The state of a formatting operation.
struct Formatter<'a> {
    pattern: std::iter::Peekable<std::str::Chars<'a>>,
    values: std::vec::IntoIter<Value>,
    /// The values by name, which need not all be used.
    named: Option<Value>,
}

/// What stands between `%` and the letter.
#[derive(Default)]
struct Layout {
    is_left: bool,
    is_signed: bool,
    is_spaced: bool,
    is_alternate: bool,
    has_zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl<'a> Formatter<'a> {
    fn new(pattern: &'a str, values: Vec<Value>, named: Option<Value>) -> Formatter<'a> {
        let pattern = pattern.chars().peekable();
        Formatter { pattern, values: values.into_iter(), named }
    }

    fn format(mut self) -> Result<String, Error> {
        let mut output = String::new();
        while let Some(c) = self.pattern.next() {
            if c == '%' { self.field(&mut output)? } else { output.push(c) }
        }
        if self.values.next().is_some() && self.named.is_none() {
            return Err(wrong("not all arguments converted during string formatting"));
        }
        Ok(output)
    }

    /// Writes one field.
    fn field(&mut self, output: &mut String) -> Result<(), Error> {
        let name = self.name()?;
        let mut layout = self.layout()?;
        let letter = self.pattern.next().ok_or_else(|| wrong("incomplete format"))?;
        if letter == '%' {
            output.push('%');
            return Ok(());
        }
        let value = match name {
            Some(name) => {
                let named = self.named.as_ref().ok_or_else(|| wrong("format requires a mapping"))?;
                let value = named.get_item(&Value::from(name.as_str()))?;
                if value.is_undefined() {
                    return Err(wrong(format!("the format has no value `{name}`")));
                }
                value
            }
            None => self.value()?,
        };
        let text = converted(letter, &value, &layout)?;
        layout.has_zeros &= is_number(letter);
        meter::check(output.len().saturating_add(text.len()))?;
        output.push_str(&layout.pad(text));
        Ok(())
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.values.next().ok_or_else(|| wrong("not enough arguments for format string"))
    }

    /// Reads a name in parentheses.
    fn name(&mut self) -> Result<Option<String>, Error> {
        if self.pattern.next_if_eq(&'(').is_none() {
            return Ok(None);
        }
        let mut name = String::new();
        loop {
            match self.pattern.next() {
                Some(')') => return Ok(Some(name)),
                Some(c) => name.push(c),
                None => return Err(wrong("incomplete format key")),
            }
        }
    }

    fn layout(&mut self) -> Result<Layout, Error> {
        let mut layout = Layout::default();
        while let Some(flag) = self.pattern.next_if(|c| "-+ #0".contains(*c)) {
            match flag {
                '-' => layout.is_left = true,
                '+' => layout.is_signed = true,
                ' ' => layout.is_spaced = true,
                '#' => layout.is_alternate = true,
                _ => layout.has_zeros = true,
            }
        }
        if let Some(width) = self.number()? {
            layout.is_left |= width < 0;
            layout.width = width.unsigned_abs() as usize;
        }
        if self.pattern.next_if_eq(&'.').is_some() {
            layout.precision = Some(self.number()?.unwrap_or(0).max(0) as usize);
        }
        while self.pattern.next_if(|c| "hlL".contains(*c)).is_some() {}
        Ok(layout)
    }

    /// Reads a width or a precision.
    fn number(&mut self) -> Result<Option<i64>, Error> {
        let number = if self.pattern.next_if_eq(&'*').is_some() {
            Some(self.value()?.as_i64().ok_or_else(|| wrong("* wants int"))?)
        } else {
            let mut digits = String::new();
            digits.extend(std::iter::from_fn(|| self.pattern.next_if(char::is_ascii_digit)));
            if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(i64::MAX)) }
        };
        match number {
            Some(number) if number.unsigned_abs() > MOST_WIDTH as u64 => Err(wrong("a width is too large")),
            number => Ok(number),
        }
    }
}

fn is_number(letter: char) -> bool {
    "diuoxXeEfFgG".contains(letter)
}

/// Returns the text of a value, without padding to the width.
fn converted(letter: char, value: &Value, layout: &Layout) -> Result<String, Error> {
    let limited = |text: String| match layout.precision {
        Some(length) => text.chars().take(length).collect(),
        None => text,
    };
    let number = || {
        let is_number = matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
        is_number.then_some(()).ok_or_else(|| wrong(format!("%{letter} format: a number is required")))
    };
    Ok(match letter {
        's' => limited(text(value)),
        'r' => limited(represent(value)),
        'a' => limited(ascii(&represent(value))),
        'c' => character(value)?,
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            number()?;
            integer(letter, value, layout)?
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            number()?;
            let number = f64::try_from(value.clone())?;
            layout.with_sign(number.is_sign_negative(), float(letter, number.abs(), layout))
        }
        other => return Err(wrong(format!("unsupported format character `{other}`"))),
    })
}

/// Returns a text with escapes in the place of characters that are not ASCII.
fn ascii(text: &str) -> String {
    let escaped = text.chars().map(|c| match c as u32 {
        0..=0x7f => c.to_string(),
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    });
    escaped.collect()
}

fn character(value: &Value) -> Result<String, Error> {
    let from_code = value.as_i64().and_then(|code| char::from_u32(u32::try_from(code).ok()?));
    let from_text = value.as_str().filter(|text| text.chars().count() == 1);
    let text = from_code.map(String::from).or_else(|| from_text.map(String::from));
    text.ok_or_else(|| wrong("%c requires an int or a unicode character"))
}

fn integer(letter: char, value: &Value, layout: &Layout) -> Result<String, Error> {
    let number = if value.kind() == ValueKind::Bool {
        i128::from(value.is_true())
    } else if value.is_integer() {
        i128::try_from(value.clone())?
    } else if "oxX".contains(letter) {
        return Err(wrong(format!("%{letter} format: an integer is required, not float")));
    } else {
        f64::try_from(value.clone())?.trunc() as i128
    };
    let size = number.unsigned_abs();
    let (mark, digits) = match letter {
        'o' => ("0o", format!("{size:o}")),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        _ => ("", size.to_string()),
    };
    let digits = format!("{digits:0>width$}", width = layout.precision.unwrap_or(0));
    let mark = if layout.is_alternate { mark } else { "" };
    Ok(layout.with_sign(number < 0, format!("{mark}{digits}")))
}

fn float(letter: char, number: f64, layout: &Layout) -> String {
    let precision = layout.precision.unwrap_or(6);
    let text = if number.is_infinite() {
        "inf".into()
    } else if number.is_nan() {
        "nan".into()
    } else {
        match letter.to_ascii_lowercase() {
            'f' => format!("{number:.precision$}"),
            'e' => with_exponent(&format!("{number:.precision$e}")),
            _ => general(number, precision.max(1)),
        }
    };
    if letter.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

/// Returns a number with a number of significant digits, without zeros at the end.
fn general(number: f64, digits: usize) -> String {
    let scientific = format!("{number:.precision$e}", precision = digits - 1);
    let exponent: i64 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let shortened = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if exponent < -4 || exponent >= digits as i64 {
        let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        return with_exponent(&format!("{}e{exponent}", shortened(mantissa)));
    }
    let after = (digits as i64 - 1 - exponent).max(0) as usize;
    shortened(&format!("{number:.after$}"))
}

impl Layout {
    fn with_sign(&self, is_negative: bool, digits: String) -> String {
        let sign = match (is_negative, self.is_signed, self.is_spaced) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        format!("{sign}{digits}")
    }

    /// Returns a text with spaces or zeros up to the width.
    fn pad(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.is_left {
            return text + &" ".repeat(missing);
        }
        if !self.has_zeros {
            return " ".repeat(missing) + &text;
        }
        let sign = usize::from(text.starts_with(['-', '+', ' ']));
        let mark = if text[sign..].starts_with("0x") || text[sign..].starts_with("0X") { 2 } else { 0 };
        let (head, digits) = text.split_at(sign + mark);
        format!("{head}{}{digits}", "0".repeat(missing))
    }
}
