//! A name for a whole policy.

/// A name that stands for a specification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preset {
    /// What may be written instead.
    pub name: &'static str,
    /// What it stands for.
    pub spec: &'static str,
    /// Whose setting it is.
    pub source: &'static str,
}
