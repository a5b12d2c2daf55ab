//! Names for whole policies, above all for papers' own settings where they differ from ours.

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

/// Every preset, in the order lists show them.
#[rustfmt::skip]
pub static PRESETS: &[Preset] = &[
    Preset { name: "streaming-llm", spec: "uniform+recency{recent=0}", source: "Xiao et al. 2023, arXiv:2309.17453: four sinks and the latest tokens" },
];

/// The specification that a name stands for.
pub(crate) fn expand(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|preset| preset.name == name).map(|preset| preset.spec)
}
