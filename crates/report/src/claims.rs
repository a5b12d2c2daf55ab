//! Decides the published claims from the rows of a run.
//!
//! Each [`Claim`] is divided into [`Statement`]s, and each statement is decided by rows. The [`Verdict`]
//! follows from the statements. The module `instrument` first checks that a model can serve as evidence. On a
//! model that predicts no better than guessing, for example, no statement about compression is meaningful,
//! and the verdict says so.

mod cells;
mod claim;
mod command;
mod compression;
mod evidence;
mod halves;
mod heads;
mod instrument;
mod memory;
mod plain_llama;
mod rule;
mod statement;

use bitkv_record::ClaimId;
use serde::Serialize;

use crate::Run;

pub use crate::verdict::Verdict;
pub use claim::{Claim, Statement, StatementRole, verdict};
pub use evidence::RowFilter;

/// The content of `verification.json`: the published claims, what was measured, and whether each claim holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// The claims, each with its verdict.
    pub claims: Vec<Claim>,
    /// The names of the measured models.
    pub models: Vec<String>,
    /// The run folder, if there is one.
    pub run: Option<String>,
}

impl Verification {
    /// Returns the document as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Returns the claims that the definition asks for, in its order.
pub fn all(run: &Run<'_>) -> Vec<Claim> {
    let decide = |id: &ClaimId| match id {
        ClaimId::Memory => memory::claim(run),
        ClaimId::Heads => heads::claim(run),
        ClaimId::Compression => compression::claim(run),
        ClaimId::PlainLlama => plain_llama::claim(run),
    };
    run.definition.claims.iter().map(decide).collect()
}

/// Returns the published quality that the run's claims are about: for each measure, by the title of its
/// column, the fractions kept with their values.
pub(crate) fn published_quality(run: &Run<'_>) -> Vec<(&'static str, &'static [(f64, f64)])> {
    match run.definition.claims.contains(&ClaimId::Compression) {
        true => compression::PUBLISHED_QUALITY.to_vec(),
        false => Vec::new(),
    }
}

/// Returns the claims with the models and the folder of the run.
pub fn verification(run: &Run<'_>) -> Verification {
    Verification { claims: all(run), models: models(run), run: run.folder.map(str::to_owned) }
}

/// Returns the names of the models of a run.
pub fn models(run: &Run<'_>) -> Vec<String> {
    run.manifest.models.iter().map(|model| model.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::rule::decide;
    use super::statement::{check, decided, reproduction, undecided_if};
    use super::*;

    fn statements(holds: &[Option<bool>]) -> Vec<Statement> {
        holds
            .iter()
            .map(|&holds| decided("KV share", "65.4 %".into(), "65.4 %".into(), decide(holds, "r"), ""))
            .collect()
    }

    #[test]
    fn the_verdict_follows_from_the_statements() {
        let (yes, no, untested) = (Some(true), Some(false), None);
        let cases: [(&[Option<bool>], Verdict); 9] = [
            (&[], Verdict::NotTested),
            (&[untested, untested], Verdict::NotTested),
            (&[yes], Verdict::Holds),
            (&[yes, yes], Verdict::Holds),
            (&[yes, no], Verdict::PartlyHolds),
            (&[yes, untested], Verdict::PartlyHolds),
            (&[yes, no, untested], Verdict::PartlyHolds),
            (&[no, no], Verdict::DoesNotHold),
            (&[no, untested], Verdict::DoesNotHold),
        ];
        for (holds, expected) in cases {
            assert_eq!(verdict(&statements(holds)), expected, "{holds:?}");
        }
    }

    #[test]
    fn reproductions_and_checks_decide_nothing() {
        let non_deciding = [
            reproduction(statements(&[Some(true)]).remove(0)),
            check("m", statements(&[Some(false)]).remove(0)),
            check("m", statements(&[None]).remove(0)),
        ];
        assert_eq!(verdict(&non_deciding), Verdict::NotTested);
        for (holds, expected) in [(true, Verdict::Holds), (false, Verdict::DoesNotHold)] {
            let all = [non_deciding.to_vec(), statements(&[Some(holds)])].concat();
            assert_eq!(verdict(&all), expected);
        }
    }

    #[test]
    fn a_model_that_fails_a_check_decides_nothing() {
        let failing_check = Some("it only guesses".to_owned());
        let all = undecided_if(
            failing_check,
            [statements(&[Some(true)]), vec![check("m", statements(&[Some(true)]).remove(0))]].concat(),
        );
        assert_eq!((verdict(&all), all[0].holds, all[1].holds), (Verdict::CannotBeDecided, None, Some(true)));
        assert!(
            all[0].reason.contains("cannot be decided on this model: it only guesses"),
            "{}",
            all[0].reason
        );
        // Another model of the run still decides.
        let both = [all, statements(&[Some(false)])].concat();
        assert_eq!(verdict(&both), Verdict::DoesNotHold);
        assert_eq!(undecided_if(None, statements(&[Some(true)])), statements(&[Some(true)]));
        let name = serde_json::to_value(Verdict::CannotBeDecided).unwrap();
        assert_eq!(name, Verdict::CannotBeDecided.name());
        assert!(Verdict::CannotBeDecided.name().contains("cannot be decided"));
    }
}
