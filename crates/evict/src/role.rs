//! Roles: whether a policy takes part in a comparison as a method, as a control or as a reference.

/// The role of a policy in a comparison.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// The full cache, in which nothing is evicted.
    Full,
    /// A rule of the published claims, exactly as published.
    Published,
    /// A method that could be deployed.
    Method,
    /// A policy that ignores or reverses what methods use. A method must beat it.
    Control,
    /// A reference that uses information that no deployed cache has.
    Oracle,
}

impl Role {
    /// Returns the name of the role in rows and lists.
    pub fn name(self) -> &'static str {
        match self {
            Role::Full => "full",
            Role::Published => "published",
            Role::Method => "method",
            Role::Control => "control",
            Role::Oracle => "oracle",
        }
    }

    /// Returns the role of an allocator of this role joined to a scorer of role `scorer`. If either looks
    /// ahead, the policy is an oracle.
    pub(crate) fn with_scorer(self, scorer: Role) -> Role {
        match (self, scorer) {
            (Role::Oracle, _) | (_, Role::Oracle) => Role::Oracle,
            (Role::Control, _) | (_, Role::Control) => Role::Control,
            _ => Role::Method,
        }
    }
}
