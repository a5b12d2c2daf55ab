//! A checker for the markup the report writes: tags nest, attributes are quoted, no stray `<` or `&`. What is
//! inside of scripts and styles is not markup.

/// The HTML elements without an end tag.
const VOID: [&str; 4] = ["meta", "br", "hr", "link"];
/// The elements whose content is not markup.
const RAW: [&str; 2] = ["script", "style"];

/// Panics, with the position, if `text` is not well formed or repeats an `id`.
pub(crate) fn check(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at]);
        let end = rest[at..]
            .find('>')
            .map(|end| at + end)
            .unwrap_or_else(|| panic!("unclosed tag: {}", head(&rest[at..])));
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "before: {}", head(rest));
        } else if !tag.starts_with('!') {
            let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "odd element <{tag}>");
            ids.extend(check_attributes(attributes));
            if RAW.contains(&name) {
                let end = format!("</{name}>");
                let inside = rest.find(&end).unwrap_or_else(|| panic!("{name} is never closed"));
                rest = &rest[inside + end.len()..];
            } else if !closed && !VOID.contains(&name) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    assert!(rest.trim().is_empty());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id is used twice");
}

/// Checks `name="value"` pairs and returns the value of `id`, if there is one.
fn check_attributes(text: &str) -> Option<&str> {
    let mut rest = text.trim();
    let mut id = None;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("unquoted attribute: {rest}"));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-:".contains(c)), "odd attribute: {name}");
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("unclosed attribute: {rest}"));
        check_text(value);
        if name == "id" {
            id = Some(value);
        }
        rest = after.trim_start();
    }
    id
}

fn check_text(text: &str) {
    assert!(!text.contains('>'), "stray '>': {}", head(text));
    for part in text.split('&').skip(1) {
        let entity = part.split(';').next().unwrap_or("");
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&entity), "stray '&': {}", head(part));
    }
}

fn head(text: &str) -> String {
    text.chars().take(60).collect()
}

#[test]
fn the_checker_finds_faults() {
    check("<!DOCTYPE html><a b=\"c\"><meta x=\"y\"><script>a < b && c > d</script><d/></a>");
    for bad in [
        "<a>",
        "<a></b>",
        "<a b=c></a>",
        "x & y",
        "<a id=\"1\"/><b id=\"1\"/>",
        "<a b=\"c>",
        "a > b",
        "<script>",
    ] {
        let text = format!("{bad}<e/>");
        assert!(std::panic::catch_unwind(|| check(&text)).is_err(), "{bad} passed");
    }
}
