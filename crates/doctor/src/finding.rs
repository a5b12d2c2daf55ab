//! A statement about a checkpoint.

use std::fmt;

/// How bad it is, worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Results would be wrong, or there would be none.
    Fault,
    /// Something is unusual, and may make results wrong.
    Warning,
    /// As it should be, or harmless, but worth knowing.
    Note,
}

impl Severity {
    /// The name in tables and files.
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

/// One thing that an examination found. Every text is a sentence or part of one, without a full stop at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Which check found it, such as `decode-map`; a stable name.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The tensor, file or part of the model.
    pub place: String,
    /// What was measured.
    pub found: String,
    /// What that tells.
    pub means: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// What a check found at a place, and what it makes of it.
    pub(crate) fn new(
        check: &'static str,
        place: impl Into<String>,
        found: impl Into<String>,
        Judgement { severity, means, remedy }: Judgement,
    ) -> Finding {
        Finding { check, severity, place: place.into(), found: found.into(), means, remedy }
    }
}

/// What a check makes of what it found: how bad it is, what it tells and what to do.
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

/// As it should be, or harmless: there is nothing to do.
pub(crate) fn fine(means: impl Into<String>) -> Judgement {
    note(means, "nothing")
}

/// What to do about a file of which parts are missing.
pub(crate) fn if_incomplete(file: &str) -> String {
    format!("compare size and SHA-256 of {file} with those of its source and download it again")
}

/// What to do about a file whose bytes were changed.
pub(crate) fn if_changed(file: &str) -> String {
    format!("compare the SHA-256 of {file} with that of its source and download it again")
}

/// A magnitude with four digits or so.
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
    fn magnitudes_are_readable() {
        let values = [0.0, 1.0 / 3.0, 1225.14, 6.34e9, 1e-34, f64::INFINITY, f64::NAN];
        let expected = ["0", "0.3333", "1225.1", "6.340e9", "1.000e-34", "inf", "NaN"];
        assert_eq!(values.map(short), expected);
    }
}
