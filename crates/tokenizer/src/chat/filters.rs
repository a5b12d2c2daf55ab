//! The filters, tests and functions of Jinja where the engine differs from Python.

use minijinja::{
    Environment, Error, State, Value,
    value::{Kwargs, Tuple, ValueKind},
};

use super::{environment::wrong, meter, python_text, rewrite, view::View};

/// Adds the filters, tests and functions to an environment.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("indent", indent);
    environment.add_filter("batch", batch);
    environment.add_filter("slice", sliced);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("attr", attribute);
    environment.add_filter("string", python_text::text_of);
    environment.add_filter("e", escape);
    environment.add_filter("escape", escape);
    environment.add_filter("pprint", |value: &Value| python_text::represent(value));
    environment.add_filter("wordcount", |text: &str| text.split_whitespace().count());
    environment.add_filter("filesizeformat", minijinja_contrib::filters::filesizeformat);
    environment.add_filter("center", |text: &str, width: Option<usize>| {
        let missing = width.unwrap_or(80).min(10_000).saturating_sub(text.chars().count());
        let left = missing / 2 + (missing & width.unwrap_or(80) & 1);
        format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left))
    });
    environment.add_filter(rewrite::SLICE, slice);
    environment.add_test("sequence", is_sequence);
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("callable", |value: &Value| {
        value.as_object().is_some() && value.kind() == ValueKind::Plain
    });
    environment.add_function("range", range);
}

/// Escapes a text for HTML as markupsafe does.
fn escape(value: &Value) -> String {
    let text = python_text::text(value);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('\'', "&#39;").replace('"', "&#34;")
}

fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().ok_or_else(|| wrong(format!("a value of type {} has no length", value.kind())))
}

/// Whether a value can be indexed, as Jinja asks: it has a length and items by index or key.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
}

/// The filter `replace`.
pub(super) fn replace(value: &Value, old: &str, new: &str, count: Option<i64>) -> Result<String, Error> {
    let count = count.and_then(|count| usize::try_from(count).ok());
    meter::replaced(&python_text::text(value), old, new, count)
}

/// Returns a text with an indentation at every line except the first, and at empty lines only if `blank`.
fn indent(text: &str, width: Option<Value>, first: Option<bool>, named: Kwargs) -> Result<String, Error> {
    let width = width.map_or_else(|| named.get::<Option<Value>>("width"), |width| Ok(Some(width)))?;
    let first = first.map_or_else(|| named.get::<Option<bool>>("first"), |first| Ok(Some(first)))?;
    let is_blank: Option<bool> = named.get("blank")?;
    named.assert_all_used()?;
    let width = width.unwrap_or_else(|| Value::from(4));
    let prefix = match (width.as_str(), width.as_usize()) {
        (Some(prefix), _) => prefix.to_string(),
        (None, Some(width)) if width <= 1_000 => " ".repeat(width),
        _ => return Err(wrong("indent wants a width of at most 1000")),
    };
    let lines: Vec<&str> = text.split('\n').collect();
    meter::check(text.len().saturating_add(lines.len().saturating_mul(prefix.len())))?;
    let mut indented = String::new();
    for (i, line) in lines.into_iter().enumerate() {
        if i > 0 {
            indented.push('\n');
        }
        let has_prefix =
            if i == 0 { first == Some(true) } else { is_blank == Some(true) || !line.is_empty() };
        if has_prefix {
            indented.push_str(&prefix);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

/// The largest count of the filters `batch` and `slice`.
const MOST_PARTS: usize = 10_000;

fn batch(state: &State, value: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    if count > MOST_PARTS {
        return Err(wrong(format!("batch wants at most {MOST_PARTS} items")));
    }
    minijinja::filters::batch(state, value, count, fill)
}

fn sliced(state: &State, value: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    if count > MOST_PARTS {
        return Err(wrong(format!("slice wants at most {MOST_PARTS} parts")));
    }
    minijinja::filters::slice(state, value, count, fill)
}

/// Returns a number without its fraction, or the default if the value is not a number.
fn int(value: &Value, default: Option<Value>, base: Option<u32>, named: Kwargs) -> Result<Value, Error> {
    let default = default.map_or_else(|| named.get::<Option<Value>>("default"), |value| Ok(Some(value)))?;
    let base = base.map_or_else(|| named.get::<Option<u32>>("base"), |base| Ok(Some(base)))?.unwrap_or(10);
    named.assert_all_used()?;
    let default = default.unwrap_or_else(|| Value::from(0));
    if let Some(text) = value.as_str() {
        let text = text.trim().replace('_', "").to_lowercase();
        let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
        let digits = match base {
            2 => digits.strip_prefix("0b").unwrap_or(digits),
            8 => digits.strip_prefix("0o").unwrap_or(digits),
            16 => digits.strip_prefix("0x").unwrap_or(digits),
            10 => digits,
            _ => return Err(wrong("int wants base 2, 8, 10 or 16")),
        };
        let whole = i64::from_str_radix(digits, base).ok().map(|number| sign * number);
        let whole = whole.or_else(|| text.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| x as i64));
        return Ok(whole.map_or(default, Value::from));
    }
    match value.kind() {
        ValueKind::Bool => Ok(i64::from(value.is_true()).into()),
        ValueKind::Number if value.is_integer() => Ok(value.clone()),
        ValueKind::Number => {
            let number = f64::try_from(value.clone())?;
            Ok(if number.is_finite() { Value::from(number as i64) } else { default })
        }
        _ => Ok(default),
    }
}

fn float(value: &Value, default: Option<Value>) -> Value {
    let number = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok(),
    };
    number.map_or_else(|| default.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

/// Returns an attribute. The keys of a mapping are not attributes.
fn attribute(value: &Value, name: &str) -> Result<Value, Error> {
    let is_plain = matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::String);
    if is_plain { Ok(Value::UNDEFINED) } else { value.get_attr(name) }
}

/// The filter `join`.
pub(super) fn join(value: &Value, separator: Option<Value>, named: Kwargs) -> Result<String, Error> {
    let separator = separator.map_or_else(|| named.get::<Option<Value>>("d"), |value| Ok(Some(value)))?;
    let attribute: Option<Value> = named.get("attribute")?;
    named.assert_all_used()?;
    if value.is_undefined() {
        return Ok(String::new());
    }
    let texts = value.try_iter()?.map(|item| match &attribute {
        Some(name) => item.get_item(name).map(|item| python_text::text(&item)),
        None => Ok(python_text::text(&item)),
    });
    let texts: Vec<String> = texts.collect::<Result<_, Error>>()?;
    let separator = separator.map_or_else(String::new, |separator| python_text::text(&separator));
    let length = texts.iter().map(String::len).sum::<usize>();
    meter::check(length.saturating_add(texts.len().saturating_mul(separator.len())))?;
    Ok(texts.join(&separator))
}

/// The largest number of items of a range, as in Jinja's sandbox.
const MOST_ITEMS: i64 = 100_000;

fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (start, stop) = second.map_or((0, first), |second| (first, second));
    let step_size = step.unwrap_or(1);
    if step_size == 0 {
        return Err(wrong("range wants a step that is not 0"));
    }
    let is_inside = |i: i64| if step_size > 0 { i < stop } else { i > stop };
    let mut items = Vec::new();
    let mut at = Some(start);
    while let Some(i) = at.filter(|i| is_inside(*i)) {
        if items.len() as i64 == MOST_ITEMS {
            return Err(wrong(format!("a range has at most {MOST_ITEMS} numbers")));
        }
        items.push(Value::from(i));
        at = i.checked_add(step_size);
    }
    let text = match step {
        Some(step) if step != 1 => format!("range({start}, {stop}, {step})"),
        _ => format!("range({start}, {stop})"),
    };
    Ok(Value::from_object(View::range(text, items)))
}

/// Returns a list in the place of the engine's sum of lists, which cannot be indexed.
pub(super) fn list_of(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Iterable => {
            super::meter::check(value.len().unwrap_or(0).saturating_mul(16))?;
            Ok(value.try_iter()?.collect::<Vec<_>>().into())
        }
        _ => Ok(value),
    }
}

/// Returns `value[start:stop:step]`.
fn slice(value: &Value, start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(wrong("slice step cannot be zero"));
    }
    let items: Vec<Value> = match (value.as_str(), value.kind()) {
        (Some(text), _) => text.chars().map(Value::from).collect(),
        (_, ValueKind::Seq) => value.try_iter()?.collect(),
        (_, kind) => return Err(wrong(format!("a value of type {kind} has no slices"))),
    };
    let count = items.len() as i64;
    let (least, most) = if step < 0 { (-1, count - 1) } else { (0, count) };
    let clamped =
        |index: i64| (if index < 0 { index.saturating_add(count) } else { index }).clamp(least, most);
    let (first, last) = if step < 0 { (most, least) } else { (least, most) };
    let (mut at, stop) = (start.map_or(first, clamped), stop.map_or(last, clamped));
    let mut chosen = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        chosen.push(items[at as usize].clone());
        at = at.saturating_add(step);
    }
    Ok(if value.as_str().is_some() {
        chosen.iter().map(|c| c.as_str().unwrap_or_default()).collect::<String>().into()
    } else if value.is_tuple() {
        Tuple::from(chosen).into()
    } else {
        chosen.into()
    })
}
