//! What a claim's statements amount to.

use serde::{Serialize, Serializer};

/// What a claim's statements amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every statement was tested and holds.
    Holds,
    /// Some statements hold; others do not, or were not tested.
    PartlyHolds,
    /// At least one statement was tested and none holds.
    DoesNotHold,
    /// No statement was tested.
    NotTested,
    /// No statement can be tested on the models of this run, because the instrument fails its checks there.
    CannotBeDecided,
}

impl Verdict {
    /// The words used in files and reports.
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
