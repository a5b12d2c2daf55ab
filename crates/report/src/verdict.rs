//! The verdict on a claim.

use serde::{Serialize, Serializer};

/// The verdict on a claim, which follows from its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every statement holds.
    Holds,
    /// Some statements hold; others do not, or were not decided.
    PartlyHolds,
    /// At least one statement was decided, and none holds.
    DoesNotHold,
    /// No statement was decided.
    NotTested,
    /// No statement can be decided, because the models of this run fail the checks that come before the
    /// statements.
    CannotBeDecided,
}

impl Verdict {
    /// Returns the verdict in words, as in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::PartlyHolds => "partly holds",
            Self::DoesNotHold => "does not hold",
            Self::NotTested => "not tested",
            Self::CannotBeDecided => "cannot be decided on this model",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
