//! Names that are safe as paths of the cache and in addresses.

/// Longest part of a path, in bytes; what common file systems take.
const LONGEST: usize = 255;

/// Why a relative path with `/` between its parts must not be used, if so.
///
/// Names come from servers and become paths, so what is not known to be harmless is refused: only letters,
/// digits and `-_.+` pass, which no file system and no address reads in another way.
pub(crate) fn fault(path: &str) -> Option<&'static str> {
    path.split('/').find_map(fault_of_part)
}

fn fault_of_part(part: &str) -> Option<&'static str> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    match part {
        "" => Some("has an empty part"),
        "." | ".." => Some("has a part `.` or `..`"),
        _ if part.contains('\\') => Some("has a backslash"),
        _ if !part.chars().all(harmless) => {
            Some("has a character that is not of A-Z, a-z, 0-9, -, _, . and +")
        }
        _ if part.len() > LONGEST => Some("has a part of more than 255 characters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass_and_others_do_not() {
        for name in ["model.safetensors", "i2_s/ggml-model.gguf", "refs/pr/5", "v1.0+a"] {
            assert_eq!(fault(name), None, "{name}");
        }
        for name in
            ["", "/etc", "a//b", "a/", "..", "../a", "a/../b", "a/./b", "a\\b", "a b", "c:a", "a\0", "é"]
        {
            assert!(fault(name).is_some(), "{name:?}");
        }
        assert_eq!(fault(&"a".repeat(255)), None);
        assert!(fault(&"a".repeat(256)).is_some());
    }
}
