//! Python's methods of texts and containers.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, Tuple, ValueKind, from_args},
};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::{environment::wrong, meter, view::View};

/// The largest width to which a text is padded.
const MOST_WIDTH: i64 = 10_000;

/// Calls a method of a value.
pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => text_method(value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => mapping_method(value, method, args),
        ValueKind::Seq if method == "index" => {
            let (item,): (&Value,) = from_args(args)?;
            let place = value.try_iter()?.position(|other| other == *item);
            place.map(|place| Value::from(place as u64)).ok_or_else(|| wrong("the item is not in the list"))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    };
    match own {
        Err(error) if error.kind() == ErrorKind::UnknownMethod => {
            unknown_method_callback(state, value, method, args)
        }
        result => result,
    }
}

/// Calls a method of a mapping that prints or copies it.
fn mapping_method(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let items: Vec<Value> = match method {
        "keys" | "copy" => value.try_iter()?.collect(),
        "values" => value.try_iter()?.map(|key| value.get_item(&key)).collect::<Result<_, _>>()?,
        "items" => {
            let pair = |key: Value| Ok(Value::from(Tuple::from([key.clone(), value.get_item(&key)?])));
            value.try_iter()?.map(pair).collect::<Result<_, Error>>()?
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    };
    let () = from_args(args)?;
    Ok(if method == "copy" { value.clone() } else { Value::from_object(View::from_mapping(method, items)) })
}

/// Calls a method of a text that the engine lacks or answers differently.
fn text_method(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "split" | "rsplit" => split(text, method == "rsplit", args),
        "partition" | "rpartition" => partition(text, method == "rpartition", args),
        "join" => join(text, args),
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
            let count = count.and_then(|count| usize::try_from(count).ok());
            Ok(meter::replaced(text, old, new, count)?.into())
        }
        "format" => {
            check_format(text, args)?;
            Err(Error::from(ErrorKind::UnknownMethod))
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(text, method, args),
        "removeprefix" => {
            let (part,): (&str,) = from_args(args)?;
            Ok(text.strip_prefix(part).unwrap_or(text).into())
        }
        "removesuffix" => {
            let (part,): (&str,) = from_args(args)?;
            Ok(text.strip_suffix(part).unwrap_or(text).into())
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, args),
        "startswith" | "endswith" if args.len() > 1 => {
            let (part, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
            let (_, within) = range(text, start, end);
            Ok((if method == "startswith" { within.starts_with(part) } else { within.ends_with(part) })
                .into())
        }
        _ => {
            let changed = without_arguments(text, method)?;
            let () = from_args(args)?;
            Ok(changed)
        }
    }
}

/// Calls a method without arguments.
fn without_arguments(text: &str, method: &str) -> Result<Value, Error> {
    let every = |test: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(test));
    Ok(match method {
        "title" => titled(text).into(),
        "istitle" => (text.chars().any(char::is_alphabetic) && titled(text) == text).into(),
        "swapcase" => {
            let swapped = text.chars().map(|c| {
                if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() }
            });
            swapped.collect::<String>().into()
        }
        "casefold" => text.to_lowercase().replace('ß', "ss").replace('ς', "σ").into(),
        "isdecimal" | "isdigit" if text.is_ascii() => every(|c| c.is_ascii_digit()),
        "isprintable" if text.is_ascii() => (!text.contains(|c: char| c.is_ascii_control())).into(),
        "isidentifier" if text.is_ascii() => {
            let is_part = |c: char| c == '_' || c.is_ascii_alphanumeric();
            (text.chars().all(is_part) && !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()))
                .into()
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

/// Returns a text whose words begin with a capital letter; every character that is not a letter ends a word.
fn titled(text: &str) -> String {
    let mut is_inside = false;
    let mut titled = String::new();
    for c in text.chars() {
        if is_inside {
            titled.extend(c.to_lowercase())
        } else {
            titled.extend(c.to_uppercase())
        }
        is_inside = c.is_alphabetic();
    }
    titled
}

/// Splits a text by `sep` at most `maxsplit` times, from the right if `is_right`.
fn split(text: &str, is_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (separator, most, named): (Option<&Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = match separator {
        Some(separator) => Some(separator.clone()),
        None => named.get::<Option<Value>>("sep")?,
    };
    let most = most.map_or_else(|| named.get::<Option<i64>>("maxsplit"), |most| Ok(Some(most)))?;
    named.assert_all_used()?;
    let most = usize::try_from(most.unwrap_or(-1)).unwrap_or(usize::MAX - 1);
    let parts: Vec<&str> = match separator.filter(|separator| !separator.is_none()) {
        None => split_words(text, is_right, most),
        Some(separator) => {
            let separator = separator.as_str().ok_or_else(|| wrong("split wants a text as its separator"))?;
            if separator.is_empty() {
                return Err(wrong("empty separator"));
            }
            if is_right {
                let mut parts: Vec<&str> = text.rsplitn(most + 1, separator).collect();
                parts.reverse();
                parts
            } else {
                text.splitn(most + 1, separator).collect()
            }
        }
    };
    Ok(parts.into_iter().map(Value::from).collect::<Vec<_>>().into())
}

/// Splits a text at white space.
fn split_words(text: &str, is_right: bool, most: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let parted = if is_right {
            rest.rfind(char::is_whitespace).map(|at| {
                let after = at + rest[at..].chars().next().map_or(0, char::len_utf8);
                (&rest[after..], rest[..at].trim_end())
            })
        } else {
            rest.find(char::is_whitespace).map(|at| (&rest[..at], rest[at..].trim_start()))
        };
        let (part, remaining) = parted.filter(|_| parts.len() < most).unwrap_or((rest, ""));
        parts.push(part);
        rest = remaining;
    }
    if is_right {
        parts.reverse();
    }
    parts
}

/// Returns what is before a separator, the separator, and what is after it.
fn partition(text: &str, is_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    if separator.is_empty() {
        return Err(wrong("empty separator"));
    }
    let found = if is_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if is_right => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

fn join(separator: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (&Value,) = from_args(args)?;
    let mut texts = Vec::new();
    for (i, item) in items.try_iter()?.enumerate() {
        let text = item.as_str().map(str::to_string);
        texts.push(text.ok_or_else(|| wrong(format!("join: item {i} is not a text")))?);
    }
    let length = texts.iter().map(String::len).sum::<usize>();
    meter::check(length.saturating_add(texts.len().saturating_mul(separator.len())))?;
    Ok(texts.join(separator).into())
}

/// Checks that the method `format` makes no text that is too long.
fn check_format(pattern: &str, args: &[Value]) -> Result<(), Error> {
    let widest = pattern.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if pattern.contains('{') && widest > 4 {
        return Err(wrong("format wants widths of at most four digits"));
    }
    let longest = args.iter().map(|arg| arg.to_string().len()).max().unwrap_or(0);
    meter::check(pattern.len().saturating_add(pattern.matches('{').count().saturating_mul(longest + 10_000)))
}

fn pad(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (i64, Option<char>) = from_args(args)?;
    if width > MOST_WIDTH {
        return Err(wrong(format!("{method} wants a width of at most {MOST_WIDTH}")));
    }
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    let fill = |count: usize| fill.unwrap_or(' ').to_string().repeat(count);
    Ok(match method {
        "ljust" => text.to_string() + &fill(missing),
        "rjust" => fill(missing) + text,
        "center" => {
            // Python puts the odd space before the text if the width is odd.
            let left = missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1);
            fill(left) + text + &fill(missing - left)
        }
        _ => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
    }
    .into())
}

/// Returns the first character's index and the text in a range of characters.
fn range(text: &str, start: Option<i64>, end: Option<i64>) -> (usize, &str) {
    let count = text.chars().count() as i64;
    let clamped = |index: i64| if index < 0 { (count + index).max(0) } else { index.min(count) } as usize;
    let (start, end) = (clamped(start.unwrap_or(0)), clamped(end.unwrap_or(count)));
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte);
    (start, &text[byte(start)..byte(end.max(start))])
}

/// Looks for a text in a range of characters.
fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (part, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    let (first, within) = range(text, start, end);
    if method == "count" {
        return Ok((within.matches(part).count() as u64).into());
    }
    let found = if method.starts_with('r') { within.rfind(part) } else { within.find(part) };
    match found {
        Some(byte) => Ok(((first + within[..byte].chars().count()) as u64).into()),
        None if method.ends_with("index") => Err(wrong("substring not found")),
        None => Ok((-1).into()),
    }
}
