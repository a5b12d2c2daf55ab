//! Finds a passage that two collections of texts share.

use std::collections::HashMap;

/// Two texts overlap if they share a passage of at least this many bytes, after white space is normalised.
pub(crate) const WINDOW: usize = 64;

/// The size of an indexed block, in bytes. Every window contains one complete aligned block of half its size,
/// so an index of aligned blocks misses nothing, and needs a fraction of the memory of an index of all
/// windows.
const BLOCK: usize = WINDOW / 2;

/// A passage that two texts share: the index of the text in each collection, and the first [`WINDOW`] bytes
/// of the passage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) excerpt: String,
}

/// Replaces each run of white space by one space, so that different line breaks do not hide a copy.
pub(crate) fn normalise(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the first passage of [`WINDOW`] bytes that a text of `left` shares with one of `right`. All texts
/// must be normalised.
pub(crate) fn first_overlap(left: &[String], right: &[String]) -> Option<Overlap> {
    let mut blocks: HashMap<&[u8], Vec<(usize, usize)>> = HashMap::new();
    for (i, text) in left.iter().enumerate() {
        for (n, block) in text.as_bytes().chunks_exact(BLOCK).enumerate() {
            blocks.entry(block).or_default().push((i, n * BLOCK));
        }
    }
    for (r, text) in right.iter().enumerate() {
        for (at, block) in text.as_bytes().windows(BLOCK).enumerate() {
            for &(l, start) in blocks.get(block).map_or(&[][..], Vec::as_slice) {
                if let Some(run) = extend(left[l].as_bytes(), start, text.as_bytes(), at) {
                    let excerpt = String::from_utf8_lossy(run).into_owned();
                    return Some(Overlap { left: l, right: r, excerpt });
                }
            }
        }
    }
    None
}

/// Extends the equal blocks at `left[l..]` and `right[r..]` in both directions. Returns the first [`WINDOW`]
/// bytes of the passage if it is that long.
fn extend<'a>(left: &[u8], l: usize, right: &'a [u8], r: usize) -> Option<&'a [u8]> {
    let missing = WINDOW - BLOCK;
    let before = (1..=missing.min(l).min(r)).take_while(|&d| left[l - d] == right[r - d]).count();
    let after = left[l..].iter().zip(&right[r..]).take(WINDOW).take_while(|(a, b)| a == b).count();
    (before + after >= WINDOW).then(|| &right[r - before..r - before + WINDOW])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a text without repetition: the numbers in a range.
    fn numbers(from: usize, to: usize) -> String {
        (from..to).map(|n| format!("{n} ")).collect()
    }

    #[test]
    fn a_passage_of_exactly_the_window_is_found_at_every_alignment() {
        let shared = &numbers(1000, 1020)[..WINDOW];
        for offset in 0..BLOCK {
            let left = vec![numbers(0, 40), format!("{}{shared}#{}", "x".repeat(offset), numbers(50, 90))];
            let right = vec![numbers(300, 340), format!("{}|{shared}", numbers(400, 440))];
            let overlap = first_overlap(&left, &right).unwrap();
            assert_eq!((overlap.left, overlap.right, overlap.excerpt.as_str()), (1, 1, shared));
        }
    }

    #[test]
    fn a_passage_of_one_byte_less_does_not_overlap() {
        let shared = &numbers(1000, 1020)[..WINDOW - 1];
        for offset in 0..BLOCK {
            let left = vec![format!("{}<{shared}>", "x".repeat(offset))];
            assert_eq!(first_overlap(&left, &[format!("[{shared}]")]), None);
        }
    }

    #[test]
    fn short_and_empty_texts_share_nothing() {
        let short = vec![String::new(), "a short text".to_owned()];
        assert_eq!(first_overlap(&short, &short), None);
    }

    #[test]
    fn whitespace_is_normalised() {
        assert_eq!(normalise(" a\n\tb  c\u{a0}d \r\n"), "a b c d");
    }
}
