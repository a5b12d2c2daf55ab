//! A method as lists and documentation show it.

use crate::Role;

/// The part that a method plays in a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyKind {
    /// Divides the budget among KV heads.
    Allocator,
    /// Ranks the tokens inside one head.
    Scorer,
    /// Is a whole policy by itself.
    Rule,
    /// Is a whole policy by itself: one of another suite, as its code has it, with the suite's name before
    /// a colon in its own.
    Suite(&'static str),
}

impl PolicyKind {
    /// The kind of a rule of this name.
    pub(crate) fn for_rule(name: &'static str) -> PolicyKind {
        name.split_once(':').map_or(PolicyKind::Rule, |(suite, _)| PolicyKind::Suite(suite))
    }

    /// The word for it in lists: that of another suite is the suite's name.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Allocator => "allocator",
            PolicyKind::Scorer => "scorer",
            PolicyKind::Rule => "rule",
            PolicyKind::Suite(suite) => suite,
        }
    }
}

/// A method as lists and documentation show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The part it plays.
    pub kind: PolicyKind,
    /// The name that a policy selects it by.
    pub name: &'static str,
    /// Where the method comes from.
    pub source: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// The score of a token, the share of a head, or what a rule keeps.
    pub formula: &'static str,
    /// Where it differs from its source; empty where it does not, or where nothing is said.
    pub differences: &'static str,
    /// What it reads with its default options, as messages call it; `scores` of an allocator that compares heads.
    pub reads: Vec<String>,
    /// Whether it reads what a deployed cache could not have known, or chooses by it.
    pub oracle: bool,
    /// The role that it gives to a policy.
    pub role: Role,
    /// Whether policies made of it keep exactly as many tokens as the budget asks for.
    pub conserving: bool,
    /// Its options and their defaults in TOML, sorted by name.
    pub options: Vec<(String, String)>,
}
