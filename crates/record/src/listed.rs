//! Lists in sentences.

/// Joins words with commas, and the last two with "and".
pub fn listed(words: &[&str]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        words => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_two_are_joined_by_and() {
        let lists = [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]].map(super::listed);
        assert_eq!(lists, ["", "a", "a and b", "a, b and c"]);
    }
}
