//! How tables mark policies and group them by role.

use crate::table::Table;
use bitkv_record::{GridRow, PolicyRole};

const ORACLE: &str = "† Selects entries with attention from after the eviction (oracle scorers), or with the attention row that the \
attention cosine is computed on.";
const LOOSE: &str = "‡ Does not always keep the requested number of entries: compare it by what it kept.";

/// Returns the heading of a role's group in a table.
pub(crate) fn heading(role: PolicyRole) -> &'static str {
    match role {
        PolicyRole::Full => "full cache",
        PolicyRole::Published => "published rules",
        PolicyRole::Method => "methods",
        PolicyRole::Control => "controls",
        PolicyRole::Oracle => "oracle, a reference",
    }
}

/// Returns whether a chart draws the role in grey, as a reference for the coloured lines.
pub(crate) fn is_faint(role: PolicyRole) -> bool {
    matches!(role, PolicyRole::Control | PolicyRole::Oracle)
}

/// Returns whether a policy may keep another number of entries than requested. Nothing is requested of the
/// full cache.
pub(crate) fn is_loose(row: &GridRow) -> bool {
    !row.conserving && row.role != PolicyRole::Full
}

/// Adds notes for the marks in the names of rows and groups.
pub(crate) fn explain_marks(table: &mut Table) {
    for (mark, note) in [('†', ORACLE), ('‡', LOOSE)] {
        if table.has_mark(mark) {
            table.note(note);
        }
    }
}
