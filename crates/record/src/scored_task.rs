//! The task of a cell and whether the policy saw the question, as rows write it.

use crate::field::text_field;
use crate::{Named, TaskKind, ValueError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The suffix of a task whose question the policy saw.
const AWARE: &str = "-aware";

/// The task that a cell is scored on. Rows write the name of the task, such as `passkey`, or `passkey-aware`
/// if the policy saw the question before it evicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ScoredTask {
    /// The task.
    pub kind: TaskKind,
    /// Whether the policy saw the question. Always false for [`TaskKind::Text`], which has no question.
    pub aware: bool,
}

impl ScoredTask {
    /// Continuing a text.
    pub const TEXT: Self = Self { kind: TaskKind::Text, aware: false };
}

text_field!(ScoredTask);

impl fmt::Display for ScoredTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, if self.aware { AWARE } else { "" })
    }
}

impl FromStr for ScoredTask {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (name, aware) = text.strip_suffix(AWARE).map_or((text, false), |name| (name, true));
        let kind = TaskKind::from_name(name)?;
        if aware && kind == TaskKind::Text {
            return Err(ValueError::NoQuestion);
        }
        Ok(Self { kind, aware })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_equal() {
        for &kind in TaskKind::ALL {
            for aware in [false, true] {
                let task = ScoredTask { kind, aware };
                let read = task.to_string().parse::<ScoredTask>();
                assert_eq!(read.is_ok(), task != ScoredTask { kind: TaskKind::Text, aware: true }, "{task}");
                assert!(read.is_err() || read == Ok(task));
            }
        }
        assert!("passkeys".parse::<ScoredTask>().unwrap_err().to_string().contains("'passkey'"));
    }
}
