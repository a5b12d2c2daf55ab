//! The published rules, as budgets name them.

use crate::Named;

/// A published rule: it keeps what it keeps, whatever the budget asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublishedRule {
    /// `entropy-proportional`, of the GPT-2 study.
    Proportional,
    /// `entropy-global`, of the C++ that would ship.
    Global,
    /// `entropy-inverted`, behind the published percentages.
    Inverted,
}

impl Named for PublishedRule {
    const WHAT: &'static str = "published rule";
    const ALL: &'static [Self] = &[Self::Proportional, Self::Global, Self::Inverted];

    fn name(self) -> &'static str {
        match self {
            Self::Proportional => "entropy-proportional",
            Self::Global => "entropy-global",
            Self::Inverted => "entropy-inverted",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Proportional => "The rule of the GPT-2 study.",
            Self::Global => "The rule of the C++ that would ship.",
            Self::Inverted => "The rule behind the published percentages.",
        }
    }
}
