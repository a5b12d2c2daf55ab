//! The expectations that methods must meet, and the failures to meet them.

use std::fmt;

/// Something that must hold for a method or a policy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Expectation {
    /// The method does not panic.
    NoPanic,
    /// Scores are finite. Weights are finite and not negative.
    Finite,
    /// Scoring, weighing and planning the same cache again gives the same result.
    Deterministic,
    /// A scorer writes every score, except those of protected tokens.
    Written,
    /// A method reads only the observations that its needs declare.
    DeclaredNeeds,
    /// The option `pool` changes the scores of every scorer that has the option and reads query heads, and of
    /// no other scorer.
    DeclaredPooling,
    /// A score depends on the position of a token and not on its row, which changes when other tokens are
    /// evicted.
    Positions,
    /// Heads compete only by scores that differ between heads.
    Comparable,
    /// An allocator reads scores only if it declares that it compares heads.
    DeclaredComparison,
    /// The guard that an allocator fits to a share is not larger than the guard given or the share.
    Guard,
    /// A plan keeps exactly the number of tokens that the budget asks for.
    Budget,
    /// Every head keeps at least one position, in ascending order, and only positions that it holds.
    HeldPositions,
    /// A plan for a full budget keeps everything.
    Everything,
    /// A plan does not depend on earlier plans of the same observation.
    Independent,
    /// At least one cache can be planned.
    Plannable,
}

impl Expectation {
    /// Returns what was expected, as a clause.
    pub fn clause(self) -> &'static str {
        match self {
            Expectation::NoPanic => "it must not panic",
            Expectation::Finite => "scores must be finite, and weights must be finite and not negative",
            Expectation::Deterministic => "the same input must give the same result every time",
            Expectation::Written => "a scorer must write the score of every token that it does not protect",
            Expectation::DeclaredNeeds => "a method may read only what its `needs` declare",
            Expectation::DeclaredPooling => "`pools` must say whether the option `pool` changes the scores",
            Expectation::Positions => "a score must depend on the position of a token, not on its row",
            Expectation::Comparable => "heads can compete only by scores that differ between heads",
            Expectation::DeclaredComparison => "`compares` must say whether the weights depend on the scores",
            Expectation::Guard => {
                "`fit` must return a guard that is not larger than the guard given or the share"
            }
            Expectation::Budget => "a plan must keep as many tokens as the budget asks for",
            Expectation::HeldPositions => {
                "every head must keep at least one position, in ascending order, and only positions that it holds"
            }
            Expectation::Everything => "a full budget must keep everything",
            Expectation::Independent => "a plan must not depend on earlier plans of the same planner",
            Expectation::Plannable => "at least one cache must have a plan",
        }
    }
}

/// An expectation that a method or a policy does not meet. It is displayed as one line that says what to
/// change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The policy or the method, as a specification writes it.
    pub policy: String,
    /// What was expected.
    pub expectation: Expectation,
    /// What was found instead and, if possible, what to change, as a clause.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}, but {}", self.policy, self.expectation.clause(), self.found)
    }
}

/// The failures of one policy or method. Only the first failure of each expectation is kept.
#[derive(Debug)]
pub(super) struct Findings {
    policy: String,
    failures: Vec<Failure>,
}

impl Findings {
    /// Returns findings without a failure.
    pub(super) fn new(policy: impl Into<String>) -> Findings {
        Findings { policy: policy.into(), failures: Vec::new() }
    }

    /// Adds a failure unless `holds` is true.
    pub(super) fn expect(&mut self, expectation: Expectation, holds: bool, found: impl FnOnce() -> String) {
        if !holds && self.failures.iter().all(|failure| failure.expectation != expectation) {
            let (policy, found) = (self.policy.clone(), found());
            self.failures.push(Failure { policy, expectation, found });
        }
    }

    pub(super) fn failures(self) -> Vec<Failure> {
        self.failures
    }
}

/// Returns the failures that `check` finds in a policy or a method. A panic is a failure too.
pub(super) fn findings(policy: &str, check: impl FnOnce(&mut Findings)) -> Vec<Failure> {
    let mut findings = Findings::new(policy);
    // After a panic, only the findings made before it are read.
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&mut findings)));
    if let Err(payload) = done {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        findings.expect(Expectation::NoPanic, false, || format!("it panicked with: {text}"));
    }
    findings.failures()
}
