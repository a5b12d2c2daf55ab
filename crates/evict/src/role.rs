//! What a policy stands for in a comparison.

/// The role of a policy in a comparison.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// The full cache: nothing is evicted.
    Full,
    /// A rule of the published claims, as it was published.
    Published,
    /// A method that could be deployed.
    Method,
    /// A policy that ignores or reverses what methods use: what they must beat.
    Control,
    /// A reference that sees what no deployed cache can.
    Oracle,
}

impl Role {
    /// The word for it, as rows and lists have it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Full => "full",
            Role::Published => "published",
            Role::Method => "method",
            Role::Control => "control",
            Role::Oracle => "oracle",
        }
    }

    /// The role of an allocator of this role with a scorer of that one: a policy that looks ahead is an
    /// oracle whatever divides its budget.
    pub(crate) fn with_scorer(self, scorer: Role) -> Role {
        match (self, scorer) {
            (Role::Oracle, _) | (_, Role::Oracle) => Role::Oracle,
            (Role::Control, _) | (_, Role::Control) => Role::Control,
            _ => Role::Method,
        }
    }
}
