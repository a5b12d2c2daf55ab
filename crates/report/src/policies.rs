//! How policies are called, marked and grouped.

use crate::table::Table;
use bitkv_record::{GridRow, PolicyRole};

const ORACLE: &str = "† Selects with attention that comes after the eviction (oracle scorers), or with the row that the attention cosine is computed on.";
const LOOSE: &str = "‡ Does not keep the number of entries asked for: compare it by what it kept.";

/// The heading of a role's group in a table.
pub(crate) fn heading(role: PolicyRole) -> &'static str {
    match role {
        PolicyRole::Full => "full cache",
        PolicyRole::Published => "published rules",
        PolicyRole::Method => "methods",
        PolicyRole::Control => "controls",
        PolicyRole::Oracle => "oracle, a reference",
    }
}

/// Whether a chart draws the role in grey: what the coloured lines are to be compared with.
pub(crate) fn is_faint(role: PolicyRole) -> bool {
    matches!(role, PolicyRole::Control | PolicyRole::Oracle)
}

/// Whether a policy may keep another number of entries than it was asked for; the full cache is asked for nothing.
pub(crate) fn is_loose(row: &GridRow) -> bool {
    !row.conserving && row.role != PolicyRole::Full
}

/// Notes for the marks that the names of rows and groups have.
pub(crate) fn explain_marks(table: &mut Table) {
    for (mark, note) in [('†', ORACLE), ('‡', LOOSE)] {
        if table.has_mark(mark) {
            table.note(note);
        }
    }
}
