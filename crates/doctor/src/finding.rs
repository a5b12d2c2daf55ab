//! What a check says about a checkpoint: a [`Finding`] with its [`Severity`].

use std::fmt;

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The model computes wrong results, or cannot be loaded.
    Fault,
    /// Something is unusual and may make results wrong.
    Warning,
    /// The model is sound in this respect, or the finding is harmless but worth knowing.
    Note,
}

impl Severity {
    /// Returns the name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Fault => "fault",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that an examination found. `found`, `means` and `remedy` are sentences without the full stop at
/// their end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The name of the check, such as `decode-map`. Names do not change.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The tensor, the file or the part of the model that the finding concerns.
    pub place: String,
    /// What was measured.
    pub found: String,
    /// What that means for the model.
    pub means: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// Combines what a check found at a place with its judgement.
    pub(crate) fn new(
        check: &'static str,
        place: impl Into<String>,
        found: impl Into<String>,
        Judgement { severity, means, remedy }: Judgement,
    ) -> Finding {
        Finding { check, severity, place: place.into(), found: found.into(), means, remedy }
    }
}

/// How a check judges what it found: how bad it is, what it means and what to do.
pub(crate) struct Judgement {
    severity: Severity,
    means: String,
    remedy: String,
}

impl Judgement {
    pub(crate) fn new(severity: Severity, means: impl Into<String>, remedy: impl Into<String>) -> Judgement {
        Judgement { severity, means: means.into(), remedy: remedy.into() }
    }
}

pub(crate) fn fault(means: impl Into<String>, remedy: impl Into<String>) -> Judgement {
    Judgement::new(Severity::Fault, means, remedy)
}

pub(crate) fn warning(means: impl Into<String>, remedy: impl Into<String>) -> Judgement {
    Judgement::new(Severity::Warning, means, remedy)
}

pub(crate) fn note(means: impl Into<String>, remedy: impl Into<String>) -> Judgement {
    Judgement::new(Severity::Note, means, remedy)
}

/// Returns a note about something that is sound or harmless and needs no remedy.
pub(crate) fn fine(means: impl Into<String>) -> Judgement {
    note(means, "nothing needs to be done")
}

/// Returns the remedy for a file that lacks some of its data.
pub(crate) fn if_incomplete(file: &str) -> String {
    format!("compare the size and the SHA-256 of {file} with those of its source, and download it again")
}

/// Returns the remedy for a file whose bytes were changed.
pub(crate) fn if_changed(file: &str) -> String {
    format!("compare the SHA-256 of {file} with that of its source, and download it again")
}

/// Formats a magnitude with about four significant digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        1e5.. => format!("{value:.3e}"),
        100.0.. => format!("{value:.1}"),
        1e-3.. => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn magnitudes_have_about_four_digits() {
        let values = [0.0, 1.0 / 3.0, 1225.14, 6.34e9, 1e-34, f64::INFINITY, f64::NAN];
        let expected = ["0", "0.3333", "1225.1", "6.340e9", "1.000e-34", "inf", "NaN"];
        assert_eq!(values.map(short), expected);
    }
}
