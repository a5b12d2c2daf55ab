//! Which code rows follow from.

use bitkv_evict::Registry;
use bitkv_models::provenance;
use bitkv_record::{Versions, sha256_file};

/// The code that rows follow from: the revision that the suite was built from. The program's own hash is added for a
/// changed or unknown tree, and where methods of another crate were added, whose code no revision of the suite names. So
/// two builds never share rows.
pub(super) fn code(registry: &Registry) -> String {
    let Versions { revision, dirty, .. } = provenance::versions();
    if !dirty && revision != "unknown" && is_own(registry) {
        return revision;
    }
    let program = std::env::current_exe().ok().and_then(|program| sha256_file(&program).ok());
    format!("{revision}+{}", program.map_or_else(|| "unknown".to_owned(), |(hash, _)| hash))
}

/// Whether a registry holds the suite's methods and no others.
fn is_own(registry: &Registry) -> bool {
    crate::registry().is_ok_and(|own| own.listings() == registry.listings())
}

#[cfg(test)]
mod tests {
    use bitkv_evict::{Head, Scorer, method};

    use super::*;

    method! {
        /// Keeps nothing in particular.
        struct Foreign {}
        "foreign" from "a test", "any tokens", pools: false
    }

    impl Scorer for Foreign {
        fn score(&self, _: &Head<'_>, out: &mut [f32]) {
            out.fill(0.0);
        }
    }

    #[test]
    fn rows_of_a_method_from_elsewhere_are_of_this_program() {
        let own = crate::registry().unwrap();
        assert!(is_own(&own));
        let other = own.with_scorer::<Foreign>().unwrap();
        assert!(!is_own(&other));
        let code = code(&other);
        let (revision, program) = code.split_once('+').unwrap();
        assert!(!revision.is_empty() && program.len() == 64, "{code}");
    }
}
