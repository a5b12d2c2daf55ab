//! Presets: names for complete policies.

/// A name for a policy with all its options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preset {
    /// The name that may be written instead of the specification.
    pub name: &'static str,
    /// The specification of the policy.
    pub spec: &'static str,
    /// The source of the setting, and how it differs from the source.
    pub source: &'static str,
}
