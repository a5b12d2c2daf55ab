//! Checks that names from the hub are safe as paths in the cache and in addresses.

/// The longest part of a path, in bytes, on common file systems.
const LONGEST: usize = 255;

/// Returns what is wrong with a relative path whose parts are separated by `/`; `None` if it is safe.
///
/// Names come from servers and become paths. Only letters, digits and `-_.+` are allowed, because these
/// characters have no special meaning in any file system or address.
pub(crate) fn fault(path: &str) -> Option<&'static str> {
    path.split('/').find_map(fault_of_part)
}

fn fault_of_part(part: &str) -> Option<&'static str> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    match part {
        "" => Some("has an empty part"),
        "." | ".." => Some("has a part `.` or `..`"),
        _ if part.contains('\\') => Some("has a backslash"),
        _ if !part.chars().all(harmless) => Some("has a character other than A-Z, a-z, 0-9, -, _, . and +"),
        _ if part.len() > LONGEST => Some("has a part of more than 255 characters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_names_are_allowed_and_others_are_not() {
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
