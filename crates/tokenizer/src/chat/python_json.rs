//! Writes JSON as Python's `json.dumps` does, which Hugging Face's filter `tojson` calls.

use minijinja::{
    Error, ErrorKind, Value,
    value::{Kwargs, ValueKind},
};

use super::{environment::wrong, meter, python_text::float};

/// The largest indentation, in spaces. It limits how much a template can write.
const MOST_INDENT: usize = 16;
/// The largest depth of a value.
const MOST_DEPTH: usize = 100;

/// The filter `tojson` with the options of `json.dumps` that transformers passes on.
pub(super) fn to_json(value: &Value, first: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let is_ascii = match first {
        Some(first) => first.is_true(),
        None => options.get::<Option<Value>>("ensure_ascii")?.is_some_and(|value| value.is_true()),
    };
    let indent: Option<Value> = options.get("indent")?;
    let indent = indent.filter(|indent| !indent.is_none()).map(|indent| indentation(&indent)).transpose()?;
    let separators: Option<Value> = options.get("separators")?;
    let is_sorted = options.get::<Option<Value>>("sort_keys")?.is_some_and(|value| value.is_true());
    options.assert_all_used()?;
    let (comma, colon) = match separators.filter(|separators| !separators.is_none()) {
        None => (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string()),
        Some(pair) => {
            let texts: Vec<Value> = pair.try_iter()?.collect();
            match &texts[..] {
                [comma, colon] => (comma.to_string(), colon.to_string()),
                _ => return Err(wrong("tojson wants two separators")),
            }
        }
    };
    let mut writer = Writer { text: String::new(), is_ascii, indent, comma, colon, is_sorted };
    writer.value(value, 0)?;
    Ok(writer.text)
}

/// Returns the text of one level of indentation, which is given as a number of spaces or as a text.
fn indentation(indent: &Value) -> Result<String, Error> {
    match (indent.as_str(), indent.as_i64()) {
        (Some(text), _) if text.len() <= MOST_INDENT => Ok(text.into()),
        (None, Some(spaces)) if spaces <= MOST_INDENT as i64 => Ok(" ".repeat(spaces.max(0) as usize)),
        _ => Err(wrong(format!("tojson wants an indent of at most {MOST_INDENT} spaces"))),
    }
}

struct Writer {
    text: String,
    is_ascii: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
    is_sorted: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MOST_DEPTH {
            return Err(wrong("tojson wants a value that is less deep"));
        }
        meter::check(self.text.len())?;
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.text.push_str(&number(value)?),
            ValueKind::String => self.quoted(value.as_str().unwrap_or_default()),
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.all('[', ']', items.len(), depth, |writer, i| writer.value(&items[i], depth + 1))?;
            }
            ValueKind::Map => {
                let pair = |key: Value| Ok((name(&key)?, value.get_item(&key)?));
                let mut pairs: Vec<(String, Value)> =
                    value.try_iter()?.map(pair).collect::<Result<_, Error>>()?;
                if self.is_sorted {
                    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.all('{', '}', pairs.len(), depth, |writer, i| {
                    writer.quoted(&pairs[i].0);
                    writer.text.push_str(&writer.colon.clone());
                    writer.value(&pairs[i].1, depth + 1)
                })?;
            }
            kind => {
                let reason = format!("tojson cannot write a value of type {kind}");
                return Err(Error::new(ErrorKind::BadSerialization, reason));
            }
        }
        Ok(())
    }

    /// Writes `count` items between brackets.
    fn all(
        &mut self,
        open: char,
        close: char,
        count: usize,
        depth: usize,
        mut write: impl FnMut(&mut Writer, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.text.push(open);
        for i in 0..count {
            if i > 0 {
                self.text.push_str(&self.comma.clone());
            }
            self.line(depth + 1);
            write(self, i)?;
        }
        if count > 0 {
            self.line(depth);
        }
        self.text.push(close);
        Ok(())
    }

    /// Begins a line if there is an indentation.
    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.text.push('\n');
            self.text.push_str(&indent.repeat(depth));
        }
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                c if c < ' ' || self.is_ascii && c > '~' => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.text.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}

fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let number = f64::try_from(value.clone())?;
    Ok(match float(number).as_str() {
        "nan" => "NaN".into(),
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        text => text.into(),
    })
}

/// Returns the text of a key.
fn name(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().into()),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => number(key),
        kind => Err(wrong(format!("tojson cannot write a key of type {kind}"))),
    }
}
