//! What is expected of methods, and how a failure is reported.

use std::fmt;

/// What must hold of a method or of a policy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Expectation {
    /// It does not panic.
    NoPanic,
    /// Scores are finite. Weights are finite and not negative.
    Finite,
    /// The same cache is scored, weighed and planned the same every time.
    Deterministic,
    /// Every score is written that is not protected.
    Written,
    /// Nothing is read that the needs do not declare.
    DeclaredNeeds,
    /// The option `pool` changes the scores of a method that has it and reads query heads, and of no other.
    DeclaredPooling,
    /// A token is known by its position and not by its row, which changes when others are evicted.
    Positions,
    /// Heads compete only by scores that differ among them.
    Comparable,
    /// An allocator reads scores only if it declares that it compares heads.
    DeclaredComparison,
    /// A fitted guard is within the guard and within the share.
    Guard,
    /// As many tokens are kept as the budget asks for.
    Budget,
    /// Heads keep positions that they hold, ascending, and at least one.
    HeldPositions,
    /// A full budget keeps everything.
    Everything,
    /// A plan does not depend on earlier plans of the same observation.
    Independent,
    /// Some cache can be planned.
    Plannable,
}

impl Expectation {
    /// What was expected, as a clause.
    pub fn clause(self) -> &'static str {
        match self {
            Expectation::NoPanic => "it must not panic",
            Expectation::Finite => "scores must be finite, and weights finite and not negative",
            Expectation::Deterministic => "the same cache must give the same every time",
            Expectation::Written => "every score that is not protected must be written",
            Expectation::DeclaredNeeds => "only what `needs` declares may be read",
            Expectation::DeclaredPooling => "`pools` must say whether the option `pool` counts",
            Expectation::Positions => "a token must be known by its position, which is not its row",
            Expectation::Comparable => "heads can only compete by scores that differ among them",
            Expectation::DeclaredComparison => "`compares` must say whether scores count",
            Expectation::Guard => "a fitted guard must be within the guard and the share",
            Expectation::Budget => "as many tokens must be kept as the budget asks for",
            Expectation::HeldPositions => {
                "heads must keep positions that they hold, ascending, and at least one"
            }
            Expectation::Everything => "a full budget must keep everything",
            Expectation::Independent => "a plan must not depend on earlier plans",
            Expectation::Plannable => "some cache must have a plan",
        }
    }
}

/// An expectation that does not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The policy or the method that it is about, as a specification writes it.
    pub policy: String,
    /// What was expected.
    pub expectation: Expectation,
    /// What was found, as a clause.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}, but {}", self.policy, self.expectation.clause(), self.found)
    }
}

/// Failures that are found of one policy or method; of every expectation the first is kept.
#[derive(Debug)]
pub(super) struct Findings {
    policy: String,
    failures: Vec<Failure>,
}

impl Findings {
    /// None yet, of a policy or a method.
    pub(super) fn new(policy: impl Into<String>) -> Findings {
        Findings { policy: policy.into(), failures: Vec::new() }
    }

    /// Notes a failure where something does not hold.
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

/// What `check` finds of a policy or a method; a panic is a failure too.
pub(super) fn findings(policy: &str, check: impl FnOnce(&mut Findings)) -> Vec<Failure> {
    let mut findings = Findings::new(policy);
    // After a panic only the findings made before it are read.
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&mut findings)));
    if let Err(payload) = done {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        findings.expect(Expectation::NoPanic, false, || format!("it did, with: {text}"));
    }
    findings.failures()
}
