//! The types that ternary weights are written in.

use crate::codec::{CODECS, Codec, Written, i2s, tq1_0, tq2_0};

/// A coding that is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target(&'static Codec);

/// Some of [`Target::all`], for those who want a certain one.
#[allow(missing_docs, non_upper_case_globals, reason = "the names are the types")]
impl Target {
    pub const I2S: Target = Target(&i2s::X86);
    pub const Tq1_0: Target = Target(&tq1_0::CODEC);
    pub const Tq2_0: Target = Target(&tq2_0::CODEC);
}

impl Target {
    /// Every one there is.
    pub fn all() -> impl Iterator<Item = Target> {
        CODECS.iter().filter(|codec| codec.written.is_some()).map(Target)
    }

    /// The name of the type.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// How it is written.
    #[expect(clippy::missing_panics_doc, reason = "every target is one")]
    pub fn written(self) -> &'static Written {
        self.0.written.as_ref().expect("a target is a coding that is written")
    }

    pub(super) fn codec(self) -> &'static Codec {
        self.0
    }
}
