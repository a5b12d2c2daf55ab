//! The syntax of specifications, `NAME{options}` joined by `+`. This module only splits names and options; a
//! registry gives them their meaning.

use crate::Error;

/// One `NAME{options}` of a specification.
#[derive(Debug, PartialEq)]
pub(crate) struct SpecPart {
    pub(crate) name: String,
    pub(crate) options: toml::Table,
}

/// Splits a specification into its parts. The text after a bar would name a compressor, and no compressor
/// exists yet.
pub(crate) fn parse(spec: &str) -> Result<Vec<SpecPart>, Error> {
    if let Some(name) = split(spec, '|').get(1) {
        return Err(Error::Compressor { spec: spec.trim().into(), name: name.trim().into() });
    }
    split(spec, '+').into_iter().map(|text| part(spec, text.trim())).collect()
}

/// Fails if [`parse`] cannot read the name.
pub(crate) fn check_name(name: &'static str) -> Result<(), Error> {
    if is_name(name) { Ok(()) } else { Err(Error::Name { name }) }
}

/// Underscores and colons are allowed for the names of other suites, such as `kvpress:streaming_llm`.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_:".contains(c);
    !text.is_empty() && text.chars().all(is_part)
}

/// Splits at every separator outside braces and quotes.
fn split(spec: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0i32, None);
    for (i, c) in spec.char_indices() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth -= 1,
            (None, c) if c == separator && depth == 0 => {
                parts.push(&spec[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&spec[start..]);
    parts
}

fn part(spec: &str, text: &str) -> Result<SpecPart, Error> {
    let refuse = |reason: String| Error::Spec { spec: spec.into(), reason };
    let (name, braces) = text.split_at(text.find('{').unwrap_or(text.len()));
    let name = name.trim();
    if name.is_empty() {
        return Err(refuse("a name is missing next to `+` or before `{`".into()));
    }
    if !is_name(name) {
        return Err(refuse(format!("`{name}` is not a name of lower-case letters, digits and hyphens")));
    }
    let options = match braces {
        "" => toml::Table::new(),
        _ => match braces.parse::<toml::Value>() {
            Ok(toml::Value::Table(options)) => options,
            Ok(_) => return Err(refuse(bad_options(name, ""))),
            Err(e) => {
                let why = match bare_word(braces) {
                    Some((option, word)) => {
                        format!(
                            "the text {word} is not in quotes: write strings in quotes, {option}='{word}'"
                        )
                    }
                    None => bad_options(name, &format!(" ({})", e.message().replace('\n', ", "))),
                };
                return Err(refuse(why));
            }
        },
    };
    Ok(SpecPart { name: name.into(), options })
}

/// Returns the clause for options that are not a TOML inline table; `why` may be empty.
fn bad_options(name: &str, why: &str) -> String {
    format!(
        "the options of `{name}` are not a TOML inline table{why}: write them as in \
         `window-attention{{window=64,smooth='max'}}`, with strings in quotes"
    )
}

/// Returns the first option whose value is a word without quotes, and the word. It serves only to explain why
/// a table cannot be read, so it may overlook one.
fn bare_word(braces: &str) -> Option<(&str, &str)> {
    let inner = braces.trim().strip_prefix('{')?.strip_suffix('}')?;
    let pairs = inner.split(',').filter_map(|pair| pair.split_once('='));
    let mut pairs = pairs.map(|(option, value)| (option.trim(), value.trim()));
    pairs
        .find(|(_, value)| is_name(&value.to_lowercase()) && value.starts_with(char::is_alphabetic))
        .filter(|(_, value)| !["true", "false", "inf", "nan"].contains(value))
}

/// Writes a part so that [`parse`] can read it, with its options in alphabetical order.
pub(crate) fn write(name: &str, options: &toml::Table) -> String {
    if options.is_empty() {
        return name.to_owned();
    }
    let mut options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    options.sort_unstable();
    format!("{name}{{{}}}", options.join(","))
}

/// The text of a part with the options that differ from their defaults (`short`), and with all options
/// (`full`).
pub(crate) struct SpecTexts {
    pub(crate) short: String,
    pub(crate) full: String,
}

impl SpecTexts {
    /// Writes the method `name` with the options `all`. The result does not depend on how the options were
    /// written in the text that was parsed.
    pub(crate) fn new(name: &str, defaults: &toml::Table, all: &toml::Table) -> SpecTexts {
        let differs = |(key, value): &(&String, &toml::Value)| defaults.get(*key) != Some(*value);
        let short = all.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect();
        SpecTexts { short: write(name, &short), full: write(name, all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error_of(spec: &str) -> String {
        parse(spec).unwrap_err().to_string()
    }

    #[test]
    fn a_policy_is_split_into_parts() {
        let parts = parse(" a{x=\"+}\", y=-1} + b-c{} ").unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].name, "a");
        assert_eq!(parts[0].options["x"].as_str(), Some("+}"));
        assert_eq!(parts[0].options["y"].as_integer(), Some(-1));
        assert_eq!(parts[1], SpecPart { name: "b-c".into(), options: toml::Table::new() });
    }

    #[test]
    fn a_written_part_can_be_read() {
        let text = "a{w=1.5,x=\"m\",y=2}";
        let parts = parse("a{y=2, x='m', w=1.5}").unwrap();
        assert_eq!(write(&parts[0].name, &parts[0].options), text);
        assert_eq!(parse(text).unwrap(), parts);
    }

    #[test]
    fn malformed_specifications_say_why() {
        assert!(error_of("a+").contains("a name is missing"));
        assert!(error_of("{x=1}").contains("a name is missing"));
        assert!(error_of("A+b").contains("`A` is not a name"));
        assert!(error_of("a{x=1").contains("not a TOML inline table"));
        assert!(error_of("a{x}+b").contains("not a TOML inline table"));
        assert!(error_of("a{x=1}\nb={y=2}").contains("not a TOML inline table"));
        assert!(!error_of("a{x=").contains('\n'));
        assert!(error_of("a{x=1").ends_with("with strings in quotes"));
        assert_eq!(
            error_of("a+b{y=1, base=foo}"),
            "policy `a+b{y=1, base=foo}` cannot be read: the text foo is not in quotes: write strings in quotes, base='foo'"
        );
    }

    #[test]
    fn no_compressor_exists_yet() {
        assert_eq!(
            error_of("a+b{x='|'} | merge{ratio=2}"),
            "policy `a+b{x='|'} | merge{ratio=2}` asks for the compressor `merge{ratio=2}`, but no compressor exists \
             yet: remove `|` and what follows"
        );
        assert!(error_of("full|").contains("the compressor ``"));
        assert!(parse("a{x='|'}+b").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(spec in "[a-c{}=+|,\"'\\[\\] \\n0-9.-]{0,24}") {
            let _ = parse(&spec);
        }
    }
}
