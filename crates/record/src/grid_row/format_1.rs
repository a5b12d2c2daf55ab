//! Finds the role of a policy in rows of format 1, which have no column for it. The lists below name the
//! policies that such rows can contain, so they do not grow when policies are added.

use crate::{PolicyRole, PolicyText};

/// The published rules of that time.
const PUBLISHED: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];
/// The controls of that time.
const CONTROLS: [&str; 3] = ["random", "entropy-permuted", "entropy-inverse"];

/// Returns the role of a policy in a row of format 1. `oracle` is the value of the row's column of this name.
pub(super) fn role(policy: &str, oracle: bool) -> PolicyRole {
    let text = PolicyText::new(policy);
    let has_part_in = |names: &[&str]| text.parts.iter().any(|part| names.contains(&part.name.as_str()));
    match text.parts.len() {
        1 if has_part_in(&["full"]) => PolicyRole::Full,
        1 if has_part_in(&PUBLISHED) => PolicyRole::Published,
        _ if oracle => PolicyRole::Oracle,
        _ if has_part_in(&CONTROLS) => PolicyRole::Control,
        _ => PolicyRole::Method,
    }
}
