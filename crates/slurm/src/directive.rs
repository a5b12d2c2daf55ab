//! Lines with options of `sbatch` in a script.

/// Returns the line of an option with a value. The value has no control characters.
///
/// `sbatch` removes quotes and backslashes from these lines, takes `#` for a comment, and expands nothing.
pub(crate) fn directive(option: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%[]*&|()".contains(c);
    match value.chars().all(plain) {
        true => format!("#SBATCH {option}={value}\n"),
        false => format!("#SBATCH {option}=\"{}\"\n", value.replace('\\', r"\\").replace('"', "\\\"")),
    }
}

/// Returns the line of an option of the user: `--name` or `--name=value`.
pub(crate) fn user_directive(option: &str) -> String {
    match option.split_once('=') {
        Some((name, value)) => directive(name, value),
        None => format!("#SBATCH {option}\n"),
    }
}

/// Returns a path as `sbatch` reads it in `--output`, where `%` begins a replacement such as `%a`.
pub(crate) fn log_path(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_blanks_and_quotes_are_quoted() {
        assert_eq!(directive("--partition", "main,gpu"), "#SBATCH --partition=main,gpu\n");
        assert_eq!(directive("--constraint", "[a&b]*2"), "#SBATCH --constraint=[a&b]*2\n");
        assert_eq!(directive("--comment", r#"a "b" \ # c"#), "#SBATCH --comment=\"a \\\"b\\\" \\\\ # c\"\n");
        assert_eq!(user_directive("--exclusive"), "#SBATCH --exclusive\n");
        assert_eq!(user_directive("--comment=two words"), "#SBATCH --comment=\"two words\"\n");
        assert_eq!(
            directive("--output", &log_path("/a 50%", "%a.log")),
            "#SBATCH --output=\"/a 50%%/%a.log\"\n"
        );
    }
}
