//! Makes the tables of docs/POLICIES.md from the registry.

use bitkv_evict::{Listing, PolicyKind, Registry};

use crate::markdown::{head, row};

/// Returns every table, with the name of its markers in the document.
pub(crate) fn tables(registry: &Registry) -> [(&'static str, String); 4] {
    [
        ("scorers", methods(registry, PolicyKind::Scorer, "score of token `j`")),
        ("allocators", methods(registry, PolicyKind::Allocator, "share of a head")),
        ("rules", methods(registry, PolicyKind::Rule, "what it keeps")),
        ("presets", presets(registry)),
    ]
}

/// Returns what a policy reads of an observation, in words.
pub(crate) fn reads(listing: &Listing) -> String {
    if listing.reads.is_empty() { "nothing".to_owned() } else { listing.reads.join(", ") }
}

fn methods(registry: &Registry, kind: PolicyKind, formula: &str) -> String {
    let mut table = head(&["name", "reads", formula, "source", "differences from the source"]);
    for listing in registry.listings().iter().filter(|listing| listing.kind == kind) {
        let name = format!("`{}`", listing.name);
        table += &row(&[&name, &reads(listing), listing.formula, listing.source, listing.differences]);
    }
    table
}

fn presets(registry: &Registry) -> String {
    let mut table = head(&["name", "policy", "source of the setting"]);
    for preset in registry.presets() {
        table += &row(&[&format!("`{}`", preset.name), &format!("`{}`", preset.spec), preset.source]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/POLICIES.md");

    #[test]
    fn the_document_has_the_tables_of_the_registry() {
        for (name, table) in tables(&bitkv_lab::registry().unwrap()) {
            let due = bitkv_report::splice(DOCUMENT, name, &table).unwrap();
            assert!(due == DOCUMENT, "run `bitkv list policies --splice docs/POLICIES.md`");
        }
    }
}
