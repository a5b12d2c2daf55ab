//! Parses and compares policy specifications as texts, without knowing what the policies mean.

use std::fmt;

/// The option that only selects the random numbers.
const SEED: &str = "seed";

/// The allocator that is the baseline of all others.
const UNIFORM: &str = "uniform";
/// The scorer that is the baseline of all others.
const RANDOM: &str = "random";

/// A policy specification such as `entropy{group='max'} + recency`. Two specifications are equal if they
/// differ only in white space, in the kind of quotes and in the order of options. Default values of options
/// are not known here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyText {
    /// The parts between the `+`: an allocator and a scorer, or a rule alone.
    pub parts: Vec<PolicyPart>,
}

/// One part of a specification.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyPart {
    /// The text before the braces.
    pub name: String,
    /// The options `key=value` in alphabetical order, without white space, with strings in double quotes.
    pub options: Vec<String>,
}

impl PolicyText {
    /// Splits a specification into its parts. This never fails, even if no policy has these parts.
    pub fn new(policy: &str) -> Self {
        let part = |part: String| {
            let (name, options) = part.split_once('{').unwrap_or((&part, ""));
            let options = options.strip_suffix('}').unwrap_or(options);
            let mut options = split_outside_brackets(options, ',');
            options.retain(|option| !option.is_empty());
            options.sort_unstable();
            PolicyPart { name: name.to_owned(), options }
        };
        Self { parts: split_outside_brackets(policy, '+').into_iter().map(part).collect() }
    }

    /// Returns whether the parts have the given names, regardless of their options.
    pub fn is_named(&self, names: &[&str]) -> bool {
        self.parts.iter().map(|part| part.name.as_str()).eq(names.iter().copied())
    }

    /// Returns whether every head gets the same budget: the baseline of allocators.
    pub fn is_uniform(&self) -> bool {
        self.parts.len() == 2 && self.parts[0].name == UNIFORM
    }

    /// Returns whether every head gets the same budget and keeps random tokens: the baseline of all policies.
    pub fn is_random_choice(&self) -> bool {
        self.is_named(&[UNIFORM, RANDOM])
    }

    /// Returns the specification without its seeds, and the first seed, if it has one.
    pub fn without_seed(mut self) -> (Self, Option<u64>) {
        let seed_of =
            |option: &String| option.split_once('=').filter(|(key, _)| *key == SEED)?.1.parse().ok();
        let seed = self.parts.iter().flat_map(|part| &part.options).find_map(seed_of);
        for part in &mut self.parts {
            part.options.retain(|option| seed_of(option).is_none());
        }
        (self, seed)
    }
}

impl fmt::Display for PolicyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, PolicyPart { name, options }) in self.parts.iter().enumerate() {
            write!(f, "{}{name}", if i > 0 { "+" } else { "" })?;
            if !options.is_empty() {
                write!(f, "{{{}}}", options.join(","))?;
            }
        }
        Ok(())
    }
}

/// Splits a text at the separators outside braces, brackets and quotes. Removes white space outside quotes
/// and makes all quotes double.
fn split_outside_brackets(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0, None);
    for c in text.chars() {
        let kept = match (quote, c) {
            (Some(open), _) if c == open => {
                quote = None;
                '"'
            }
            (Some(_), _) => c,
            (None, '"' | '\'') => {
                quote = Some(c);
                '"'
            }
            (None, _) if c.is_whitespace() => continue,
            (None, _) if c == separator && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            (None, _) => {
                depth += i32::from(matches!(c, '{' | '[')) - i32::from(matches!(c, '}' | ']'));
                c
            }
        };
        if let Some(part) = parts.last_mut() {
            part.push(kept);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(policy: &str) -> String {
        PolicyText::new(policy).to_string()
    }

    #[test]
    fn equal_specifications_have_one_text() {
        assert_eq!(written("full"), "full");
        assert_eq!(written(" uniform + recency "), "uniform+recency");
        assert_eq!(written("a{y = 2, x = 'm'}+b{}"), "a{x=\"m\",y=2}+b");
        assert_ne!(PolicyText::new("a{x=1}+b"), PolicyText::new("a+b{x=1}"));
    }

    #[test]
    fn separators_in_braces_brackets_and_quotes_do_not_split() {
        let text = PolicyText::new("a{x=\"+} ,\", y=[1, 2], z=1e+2} + b");
        assert!(text.is_named(&["a", "b"]) && !text.is_named(&["a"]) && !text.is_named(&["a", "b", "c"]));
        assert_eq!(text.parts[0].options, ["x=\"+} ,\"", "y=[1,2]", "z=1e+2"]);
        assert!(!PolicyText::new("uniform-by-layer+random").is_named(&["uniform", "random"]));
    }

    #[test]
    fn only_seeds_are_removed() {
        let bare = |policy: &str| {
            let (text, seed) = PolicyText::new(policy).without_seed();
            (text.to_string(), seed)
        };
        assert_eq!(bare("uniform + random{seed = 3}"), ("uniform+random".into(), Some(3)));
        assert_eq!(bare("a{seed=1,x=2}+b{seeds=4}"), ("a{x=2}+b{seeds=4}".into(), Some(1)));
        assert_eq!(bare("a+b"), ("a+b".into(), None));
    }
}
