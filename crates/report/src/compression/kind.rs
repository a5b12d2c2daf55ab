//! What part a policy plays in a comparison.

use super::FULL;

/// The published rules, which stand under their own names.
const PUBLISHED: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];

/// Budgets and scorers that a method has to beat for its reason to be more than chance.
const CONTROLS: [&str; 3] = ["random", "entropy-permuted", "entropy-inverse"];

/// What part a policy plays in a comparison, in the order of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The unevicted cache.
    Full,
    /// A rule as published.
    Published,
    /// A deployable policy.
    Rival,
    /// A policy that ignores or reverses what the others go by.
    Control,
    /// A reference: it sees what no deployable policy can.
    Oracle,
}

impl Kind {
    /// The part of the policy with this specification; options, as in `random{seed = 1}`, do not change it. A
    /// published rule stays one when it is an oracle.
    pub fn of(policy: &str, oracle: bool) -> Self {
        let names: Vec<&str> = policy.split('+').map(|part| bare(part.trim())).collect();
        match names[..] {
            [name] if name == FULL => Self::Full,
            [name] if PUBLISHED.contains(&name) => Self::Published,
            _ if oracle => Self::Oracle,
            _ if names.iter().any(|name| CONTROLS.contains(name)) => Self::Control,
            _ => Self::Rival,
        }
    }

    /// The heading of its group in a table.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Full => "full cache",
            Self::Published => "published rules",
            Self::Rival => "rivals",
            Self::Control => "controls",
            Self::Oracle => "oracle, a reference",
        }
    }
}

/// A part's name without its options.
fn bare(part: &str) -> &str {
    let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(part.len());
    &part[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_its_part() {
        let kinds = [
            ("full", false, Kind::Full),
            ("entropy-proportional", true, Kind::Published),
            ("entropy-global{margin = 2}", false, Kind::Published),
            ("uniform+window-attention", false, Kind::Rival),
            ("entropy+recency", false, Kind::Rival),
            ("uniform+random{seed = 3}", false, Kind::Control),
            ("entropy-permuted+window-attention", false, Kind::Control),
            ("entropy-inverse+recency", false, Kind::Control),
            ("uniform+oracle", true, Kind::Oracle),
            ("a-rule-of-ones-own", true, Kind::Oracle),
        ];
        for (policy, oracle, kind) in kinds {
            assert_eq!(Kind::of(policy, oracle), kind, "{policy}");
        }
        assert!(Kind::Full < Kind::Published && Kind::Control < Kind::Oracle);
    }
}
