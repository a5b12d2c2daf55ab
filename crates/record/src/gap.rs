//! What is missing or wrong in a definition. All gaps of a definition are reported at once.

use std::fmt::{self, Display, Formatter};

use crate::{DefinitionError, RecordError, listed};

/// A gap of a definition. The message is a clause with the sections, the key, its value and the remedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The kind and the name of each section that has the gap, such as `experiment 'NAME'`; empty if the gap
    /// concerns the whole file.
    pub sections: Vec<String>,
    /// The key, its value and the remedy.
    pub reason: Box<DefinitionError>,
}

impl Gap {
    /// Returns the gap of one section; `section` is empty if the gap concerns the whole file.
    pub fn new(section: &str, reason: impl Into<DefinitionError>) -> Self {
        let sections = Some(section.to_owned()).filter(|section| !section.is_empty());
        Self { sections: sections.into_iter().collect(), reason: Box::new(reason.into()) }
    }

    /// Formats the names of the sections.
    fn places(&self) -> String {
        listed(&self.sections.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl Display for Gap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.sections.is_empty() {
            true => write!(f, "{}", self.reason),
            false => write!(f, "{}: {}", self.places(), self.reason),
        }
    }
}

/// Formats the gaps of a definition as one sentence in which each has its number: `(1) ...; (2) ...`.
pub(crate) fn numbered(gaps: &[Gap]) -> String {
    let numbered = gaps.iter().enumerate().map(|(i, gap)| format!("({}) {gap}", i + 1));
    numbered.collect::<Vec<_>>().join("; ")
}

/// The gaps that were found so far in a definition, in one of its sections, or in a list.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    errors: Vec<RecordError>,
    /// The keys whose values are not known because of a gap.
    keys: Vec<&'static str>,
}

impl Gaps {
    /// Adds an error, which may itself consist of several gaps.
    pub(crate) fn add(&mut self, error: RecordError) {
        self.errors.push(error);
    }

    /// Adds the error of a check that failed.
    pub(crate) fn check(&mut self, checked: Result<(), RecordError>) {
        self.errors.extend(checked.err());
    }

    /// Returns the value of a key. If it could not be read, adds the error and returns `instead`.
    pub(crate) fn value<T>(&mut self, key: &'static str, read: Result<T, RecordError>, instead: T) -> T {
        read.unwrap_or_else(|error| {
            self.errors.push(error);
            self.keys.push(key);
            instead
        })
    }

    /// Whether the values of all these keys are known.
    pub(crate) fn knows(&self, keys: &[&str]) -> bool {
        !self.keys.iter().any(|key| keys.contains(key))
    }

    /// Moves the gaps of a section to those of its file. The keys of the section are not keys of the file.
    pub(crate) fn take(&mut self, section: &mut Gaps) {
        self.errors.append(&mut section.errors);
    }

    /// Returns the value if there is no gap, or else the error with all gaps.
    pub(crate) fn result<T>(self, value: T) -> Result<T, RecordError> {
        RecordError::joined(self.errors).map_or(Ok(value), Err)
    }
}

impl RecordError {
    /// Returns the error about the gaps of a definition. A reason that several sections have is given once,
    /// with the names of all these sections.
    pub fn with_gaps(file: &str, gaps: Vec<Gap>) -> RecordError {
        let (file, mut distinct) = (file.to_owned(), Vec::<Gap>::new());
        for gap in gaps {
            match distinct.iter_mut().find(|other| other.reason == gap.reason) {
                Some(other) => {
                    let more = gap.sections.into_iter().filter(|section| !other.sections.contains(section));
                    let more: Vec<String> = more.collect();
                    other.sections.extend(more);
                }
                None => distinct.push(gap),
            }
        }
        match distinct.as_slice() {
            [gap] => {
                let comma = if gap.sections.is_empty() { "" } else { ", " };
                let section = format!("{comma}{}", gap.places());
                RecordError::Definition { file, section, reason: gap.reason.clone() }
            }
            _ => RecordError::Gaps { file, gaps: distinct },
        }
    }

    /// Joins the errors of one definition; `None` if the list is empty. A single gap keeps its error.
    fn joined(mut errors: Vec<RecordError>) -> Option<RecordError> {
        if errors.len() < 2 {
            return errors.pop();
        }
        let (mut of_file, mut all) = (String::new(), Vec::new());
        for error in errors {
            match error {
                RecordError::Definition { file, section, reason } => {
                    all.push(Gap::new(section.trim_start_matches(", "), *reason));
                    of_file = file;
                }
                RecordError::Gaps { file, gaps } => {
                    all.extend(gaps);
                    of_file = file;
                }
                other => all.push(Gap::new("", other.to_string())),
            }
        }
        Some(RecordError::with_gaps(&of_file, all))
    }
}
