//! Bounds how much longer the steps of a `tokenizer.json` can make a text. A file with many steps that
//! double a text would take all memory.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The largest factor of all steps together. Published tokenizers need less than 20.
const MOST: f64 = 100.0;

/// Checks the steps of the normalizer and the pre-tokenizer.
///
/// # Errors
/// Returns the reason if they can make a text more than 100 times as long, or if precompiled rules say that
/// they are longer than they are: their reader would reserve that much memory.
pub(crate) fn check(steps: &[&Value]) -> Result<(), String> {
    if steps.iter().any(|step| step["type"] == "Precompiled" && !is_complete(step)) {
        return Err("its precompiled rules are damaged".into());
    }
    let all: f64 = steps.iter().map(|step| factor(step)).product();
    if all <= MOST {
        return Ok(());
    }
    Err(format!("its steps can make a text more than {MOST} times as long"))
}

/// Returns how many times as long a step can make a text, at least 1.
fn factor(step: &Value) -> f64 {
    let characters = |text: &Value| text.as_str().unwrap_or_default().chars().count() as f64;
    match step["type"].as_str().unwrap_or_default() {
        // An expression may match a single character.
        "Replace" => {
            (characters(&step["content"]) / characters(&step["pattern"]["String"]).max(1.0)).max(1.0)
        }
        // Every part of a text, which may be a single character, gets the prefix.
        "Prepend" => 1.0 + characters(&step["prepend"]),
        "Metaspace" => 2.0,
        // Every byte becomes a character.
        "ByteLevel" | "NFD" | "NFKD" | "NFKC" => 4.0,
        "Precompiled" => longest_replacement(step["precompiled_charsmap"].as_str().unwrap_or_default()),
        _ => 1.0,
    }
}

/// Returns whether the trie of precompiled rules is as long as they say.
fn is_complete(step: &Value) -> bool {
    let (bytes, trie) = decoded(step["precompiled_charsmap"].as_str().unwrap_or_default());
    bytes.is_empty() || trie <= bytes.len().saturating_sub(4)
}

/// Returns the bytes of the rules of SentencePiece, and the size of their trie in bytes. Rules that cannot be
/// decoded are empty; they are refused when they are read.
fn decoded(rules: &str) -> (Vec<u8>, usize) {
    let bytes = STANDARD.decode(rules).unwrap_or_default();
    let trie = bytes.first_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    (bytes, trie)
}

/// Returns the length of the longest replacement in the rules of SentencePiece: the size of a trie, the trie,
/// and texts that end with a zero byte.
fn longest_replacement(rules: &str) -> f64 {
    let (bytes, trie) = decoded(rules);
    let texts = bytes.get(4 + trie..).unwrap_or_default();
    let lengths = texts.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).chars().count());
    lengths.max().unwrap_or(0).max(1) as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_that_multiply_a_text_are_refused() {
        let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let prefix = json!({"type": "Prepend", "prepend": "▁"});
        let bytes = json!({"type": "ByteLevel"});
        assert_eq!(check(&[&space, &prefix, &double, &bytes]), Ok(()));
        assert!(check(&[&double; 7]).is_err());
        assert!(check(&[&bytes; 4]).is_err());
        let long = "a".repeat(101);
        for step in [
            json!({"type": "Replace", "pattern": {"Regex": "."}, "content": long}),
            json!({"type": "Prepend", "prepend": long}),
        ] {
            assert!(check(&[&step]).is_err(), "{step}");
        }
    }

    #[test]
    fn rules_that_are_shorter_than_they_say_are_refused() {
        for size in [0xffff_ffff_u32, 0xf000_0000, 5, 1] {
            let rules = STANDARD.encode(size.to_le_bytes());
            let step = json!({"type": "Precompiled", "precompiled_charsmap": rules});
            assert!(check(&[&step]).unwrap_err().contains("damaged"), "{size}");
        }
    }

    #[test]
    fn the_longest_replacement_of_rules_counts() {
        let rules = |text: &str| {
            let bytes = [&4_u32.to_le_bytes()[..], &[0; 4], b"ab\0", text.as_bytes(), b"\0"].concat();
            json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(bytes)})
        };
        assert_eq!(factor(&rules("abc")), 3.0);
        assert!(check(&[&rules(&"a".repeat(200))]).is_err());
    }
}
