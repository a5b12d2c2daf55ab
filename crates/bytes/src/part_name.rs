//! The names of the parts of a model that is split into several GGUF files.

/// Returns the name without the number of its part, that number, counted from 1, and the number of parts:
/// `("m", 1, 2)` for `m-00001-of-00002.gguf`. Returns `None` for a name of another form.
pub fn part_name(name: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = |text: &str| is_number(text).then(|| text.parse().ok()).flatten();
    let (number, count): (usize, usize) = (digits(number)?, digits(count)?);
    (!stem.is_empty() && (1..=count).contains(&number)).then_some((stem, number, count))
}

/// Returns the names of all `count` parts, in their order.
pub fn part_names(stem: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |number| format!("{stem}-{number:05}-of-{count:05}.gguf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts() {
        for (name, expected) in [
            ("m-00001-of-00002.gguf", Some(("m", 1, 2))),
            ("a-b-of-c-00003-of-00003.gguf", Some(("a-b-of-c", 3, 3))),
            ("m-00003-of-00002.gguf", None),
            ("m-00000-of-00002.gguf", None),
            ("m-1-of-2.gguf", None),
            ("m-+0001-of-00002.gguf", None),
            ("-00001-of-00002.gguf", None),
            ("m.gguf", None),
            ("m-00001-of-00002.bin", None),
        ] {
            assert_eq!(part_name(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_all_parts() {
        let names: Vec<String> = part_names("m", 2).collect();
        assert_eq!(names, ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
    }
}
