//! Identifies the code that rows depend on.

use bitkv_evict::Registry;
use bitkv_models::provenance;
use bitkv_record::{Versions, sha256_file};

/// Returns a text that identifies the code that rows depend on: the git revision that the suite was built
/// from. The hash of the executable is added if the tree was changed or is unknown, or if methods of another
/// crate were added, because the revision of the suite does not identify that code. Therefore rows of
/// different code never count as the same.
pub(super) fn code(registry: &Registry) -> String {
    let Versions { revision, dirty, .. } = provenance::versions();
    if !dirty && revision != "unknown" && is_standard(registry) {
        return revision;
    }
    let program = std::env::current_exe().ok().and_then(|program| sha256_file(&program).ok());
    format!("{revision}+{}", program.map_or_else(|| "unknown".to_owned(), |(hash, _)| hash))
}

/// Returns whether a registry has exactly the methods of the suite.
fn is_standard(registry: &Registry) -> bool {
    crate::registry().is_ok_and(|standard| standard.listings() == registry.listings())
}

#[cfg(test)]
mod tests {
    use bitkv_evict::{Head, Scorer, method};

    use super::*;

    method! {
        /// Gives every token the same score.
        struct Foreign {}
        "foreign" from "a test", "any tokens", pools: false
    }

    impl Scorer for Foreign {
        fn score(&self, _: &Head<'_>, out: &mut [f32]) {
            out.fill(0.0);
        }
    }

    #[test]
    fn rows_of_a_foreign_method_depend_on_the_hash_of_the_program() {
        let standard = crate::registry().unwrap();
        assert!(is_standard(&standard));
        let other = standard.with_scorer::<Foreign>().unwrap();
        assert!(!is_standard(&other));
        let code = code(&other);
        let (revision, program) = code.split_once('+').unwrap();
        assert!(!revision.is_empty() && program.len() == 64, "{code}");
    }
}
