//! Finds the known name that a mistyped word probably meant.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

/// Returns the known name nearest to `word`. The distance is the number of edits of one character and of
/// swaps of two neighbours (the optimal string alignment distance). Returns `None` if the distance of the
/// nearest name is more than 1 and more than a third of the number of characters of `word`.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::osa_distance(&word.to_lowercase(), name);
    let (edits, name) =
        known.into_iter().map(|name| (distance(name), name)).min_by_key(|(edits, _)| *edits)?;
    (edits <= (word.chars().count() / 3).max(1)).then_some(name)
}

/// Returns what to write instead of `word`, as a clause: the nearest name, if there is one, and all known
/// names.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("write '{name}' if that is meant, or another of {}", known.join(", ")),
        None => format!("write one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_recognised_and_other_words_are_not() {
        let known = ["budgets", "policies", "kv"];
        assert_eq!(nearest("budget", known), Some("budgets"));
        assert_eq!(nearest("polciies", known), Some("policies"));
        assert_eq!(nearest("KV", known), Some("kv"));
        assert_eq!(nearest("temperature", known), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(suggestion("vk", &["kv", "when"]), "write 'kv' if that is meant, or another of kv, when");
        assert_eq!(suggestion("colour", &["kv", "when"]), "write one of kv, when");
    }
}
