//! What a reader of a checkpoint should know about its settings, although the checkpoint can be used.

/// A setting of a checkpoint that no rule uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IgnoredSetting {
    /// The key in `config.json` or in the metadata of a GGUF file.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// The notes about a checkpoint, and the settings that have no effect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remarks {
    /// Whole sentences, without a full stop, about what was accepted with a doubt.
    pub(crate) notes: Vec<String>,
    /// The settings that no rule uses, in the order of the file.
    pub(crate) ignored: Vec<IgnoredSetting>,
}

impl Remarks {
    /// Adds a note.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds a setting that no rule uses.
    pub(crate) fn ignore(&mut self, key: impl Into<String>, value: impl ToString) {
        self.ignored.push(IgnoredSetting { key: key.into(), value: value.to_string() });
    }
}
