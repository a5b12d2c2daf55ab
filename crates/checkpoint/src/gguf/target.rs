//! The types in which ternary weights can be written.

use crate::codec::{CODECS, Codec, Encoding, i2s, tq1_0, tq2_0};

/// A ternary coding that can be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target(&'static Codec);

/// Names for some of [`Target::all`].
#[allow(missing_docs, non_upper_case_globals, reason = "the names are the types")]
impl Target {
    pub const I2S: Target = Target(&i2s::X86);
    pub const Tq1_0: Target = Target(&tq1_0::CODEC);
    pub const Tq2_0: Target = Target(&tq2_0::CODEC);
}

impl Target {
    /// Returns every coding that can be written.
    pub fn all() -> impl Iterator<Item = Target> {
        CODECS.iter().filter(|codec| codec.encoding.is_some()).map(Target)
    }

    /// Returns the name of the type.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Returns how the coding is written.
    #[expect(clippy::missing_panics_doc, reason = "every target can be written")]
    pub fn encoding(self) -> &'static Encoding {
        self.0.encoding.as_ref().expect("a target is a coding that can be written")
    }

    /// Returns the entry in the table of codecs.
    pub(super) fn codec(self) -> &'static Codec {
        self.0
    }
}
