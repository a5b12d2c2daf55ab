//! The description of a method for lists and documentation.

use crate::Role;

/// The role that a method has in the specification of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyKind {
    /// It divides the budget among KV heads.
    Allocator,
    /// It ranks the tokens of one head.
    Scorer,
    /// It is a complete policy.
    Rule,
    /// It is a complete policy that reproduces the code of another suite. Its name begins with the name of
    /// the suite and a colon.
    Suite(&'static str),
}

impl PolicyKind {
    /// Returns the kind of a rule with this name.
    pub(crate) fn for_rule(name: &'static str) -> PolicyKind {
        name.split_once(':').map_or(PolicyKind::Rule, |(suite, _)| PolicyKind::Suite(suite))
    }

    /// Returns the name of the kind in lists. For a policy of another suite it is the name of the suite.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Allocator => "allocator",
            PolicyKind::Scorer => "scorer",
            PolicyKind::Rule => "rule",
            PolicyKind::Suite(suite) => suite,
        }
    }
}

/// The description of a method for lists and documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The kind of method.
    pub kind: PolicyKind,
    /// The name in the specification of a policy.
    pub name: &'static str,
    /// The source of the method.
    pub source: &'static str,
    /// One sentence that says what the method does.
    pub description: &'static str,
    /// The score of a token, the share of a head, or what a rule keeps.
    pub formula: &'static str,
    /// How the method differs from its source. It is empty if there is no known difference.
    pub differences: &'static str,
    /// The names of the observations that the method reads with its default options. An allocator that
    /// compares heads also reads `scores`.
    pub reads: Vec<String>,
    /// Whether the method uses information that a deployed cache cannot have.
    pub oracle: bool,
    /// The role of policies made of the method.
    pub role: Role,
    /// Whether policies made of the method keep exactly the number of tokens that the budget asks for.
    pub conserving: bool,
    /// The options with their default values in TOML, sorted by name.
    pub options: Vec<(String, String)>,
}
