//! The guard: the first and last tokens, which every head keeps regardless of their scores.

use serde::{Deserialize, Serialize};

/// The tokens that every head keeps regardless of their scores.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Guard {
    /// The number of first tokens of the context.
    pub sinks: usize,
    /// The number of last tokens of the context.
    pub recent: usize,
}

impl Default for Guard {
    /// Returns four sinks, as in StreamingLLM, and eight recent tokens.
    fn default() -> Guard {
        Guard { sinks: 4, recent: 8 }
    }
}

impl Guard {
    /// Returns the part of the guard that fits into a share of `share` tokens. Recent tokens are given up
    /// first, then sinks, so that a guard never costs more than the budget.
    pub fn within(self, share: usize) -> Guard {
        let sinks = self.sinks.min(share);
        Guard { sinks, recent: self.recent.min(share - sinks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_tokens_are_given_up_before_sinks() {
        let guard = Guard { sinks: 4, recent: 8 };
        assert_eq!(guard.within(20), guard);
        assert_eq!(guard.within(12), guard);
        assert_eq!(guard.within(7), Guard { sinks: 4, recent: 3 });
        assert_eq!(guard.within(3), Guard { sinks: 3, recent: 0 });
        let greedy = Guard { sinks: usize::MAX, recent: usize::MAX };
        assert_eq!(greedy.within(5), Guard { sinks: 5, recent: 0 });
    }
}
