//! Rows of format 1, which had no roles. The policies of those rows are history: what follows lists them and is not
//! to grow with the methods that there are.

use crate::{PolicyRole, PolicyText};

const PUBLISHED: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];
const CONTROLS: [&str; 3] = ["random", "entropy-permuted", "entropy-inverse"];

/// The role of a policy of those rows.
pub(super) fn role(policy: &str, oracle: bool) -> PolicyRole {
    let text = PolicyText::new(policy);
    let is = |names: &[&str]| text.parts.iter().any(|part| names.contains(&part.name.as_str()));
    match text.parts.len() {
        1 if is(&["full"]) => PolicyRole::Full,
        1 if is(&PUBLISHED) => PolicyRole::Published,
        _ if oracle => PolicyRole::Oracle,
        _ if is(&CONTROLS) => PolicyRole::Control,
        _ => PolicyRole::Method,
    }
}
