//! The names of models on the hub.

use std::{fmt, str::FromStr};

use crate::{Error, Result, name};

/// The longest name of a repository on the hub, in bytes.
const LONGEST_REPOSITORY: usize = 96;
const DEFAULT_REVISION: &str = "main";

/// A repository on the hub, a revision, and optionally a GGUF file in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    repository: String,
    file: Option<String>,
    revision: String,
}

impl ModelId {
    /// Parses `org/name`, `org/name@revision` or `org/name/file.gguf@revision`. The revision is a branch, a
    /// tag or a commit; the default is `main`.
    ///
    /// # Errors
    /// Returns an error if a part is missing, or if a part contains something that is not allowed in names on
    /// the hub, such as `..` or `\`.
    pub fn parse(text: &str) -> Result<ModelId> {
        let refuse = |reason: String| Error::ModelId { text: text.into(), reason };
        let (path, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        if revision.is_empty() {
            return Err(refuse("the revision after `@` is empty".into()));
        }
        for (what, path) in [("the name", path), ("the revision", revision)] {
            if let Some(fault) = name::fault(path) {
                return Err(refuse(format!("{what} {fault}")));
            }
        }
        let mut parts = path.splitn(3, '/');
        let (Some(organisation), Some(name), file) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refuse("it has no `/` between organisation and name".into()));
        };
        let repository = format!("{organisation}/{name}");
        if let Some(fault) = repository_fault(&repository) {
            return Err(refuse(fault.into()));
        }
        if file.is_some_and(|file| !is_gguf(file)) {
            return Err(refuse("what follows ORG/NAME/ is not a .gguf file".into()));
        }
        Ok(ModelId { repository, file: file.map(str::to_string), revision: revision.into() })
    }

    /// The repository, as `org/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The path of the GGUF file in the repository, if one was named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the revision is a full commit hash, so that its content can never change.
    pub fn is_pinned(&self) -> bool {
        is_commit(&self.revision)
    }
}

/// Whether `text` is a SHA-1 in lower-case hex digits, as git writes commits.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a file name ends in `.gguf`, in upper or lower case.
pub(crate) fn is_gguf(name: &str) -> bool {
    name.len() > 5 && name.as_bytes()[name.len() - 5..].eq_ignore_ascii_case(b".gguf")
}

/// Returns what is wrong with the name of a repository under the hub's rules; `None` if it is valid. A
/// repository cannot contain two hyphens in a row, because they separate organisation and name in the folders
/// of the cache.
fn repository_fault(repository: &str) -> Option<&'static str> {
    let edge = |c: char| c == '-' || c == '.';
    if repository.len() > LONGEST_REPOSITORY {
        return Some("ORG/NAME is longer than 96 characters");
    }
    if repository.contains("--") || repository.contains("..") {
        return Some("ORG/NAME has `--` or `..` in it");
    }
    if repository.split('/').any(|part| part.starts_with(edge) || part.ends_with(edge)) {
        return Some("a part of ORG/NAME begins or ends with `-` or `.`");
    }
    repository.contains('+').then_some("ORG/NAME has a `+` in it")
}

impl FromStr for ModelId {
    type Err = Error;

    fn from_str(text: &str) -> Result<ModelId> {
        ModelId::parse(text)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        write!(f, "@{}", self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        let cases = [
            ("org/name", "org/name", None, "main"),
            ("org/name@v1.0", "org/name", None, "v1.0"),
            ("org/name@refs/pr/5", "org/name", None, "refs/pr/5"),
            ("o-r_g/na.me/a.gguf", "o-r_g/na.me", Some("a.gguf"), "main"),
            ("org/name/sub/a.GGUF@dev", "org/name", Some("sub/a.GGUF"), "dev"),
        ];
        for (text, repository, file, revision) in cases {
            let id = ModelId::parse(text).expect(text);
            assert_eq!((id.repository(), id.file(), id.revision()), (repository, file, revision));
            assert_eq!(id.to_string().parse::<ModelId>().expect("its own form"), id);
        }
    }

    #[test]
    fn only_a_full_commit_hash_is_pinned() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(ModelId::parse(&format!("org/name@{commit}")).expect("valid").is_pinned());
        for revision in ["main", &commit[..7], &commit.to_uppercase()] {
            assert!(!ModelId::parse(&format!("org/name@{revision}")).expect("valid").is_pinned());
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let cases = [
            ("", "empty part"),
            ("name", "no `/`"),
            ("/name", "empty part"),
            ("org/", "empty part"),
            ("org//name", "empty part"),
            ("org/name@", "revision after `@` is empty"),
            ("org/name@a@b", "the revision has a character"),
            ("org/name@../main", "the revision has a part `.` or `..`"),
            ("../name", "the name has a part"),
            ("org/..", "the name has a part"),
            ("org\\name", "a backslash"),
            ("org/na me", "a character"),
            ("org/naïve", "a character"),
            ("a--b/c", "`--`"),
            ("org/a..b", "`..`"),
            ("-org/name", "begins or ends"),
            ("org/name.", "begins or ends"),
            ("org/a+b", "`+`"),
            ("org/name/config.json", "not a .gguf file"),
            ("org/name/.gguf", "not a .gguf file"),
            ("org/name/../x.gguf", "part `.` or `..`"),
            ("https://huggingface.co/org/name", "a character"),
        ];
        for (text, part) in cases {
            let message = ModelId::parse(text).expect_err(text).to_string();
            assert!(message.contains(part) && message.contains(&format!("`{text}`")), "{message}");
        }
        let long = format!("org/{}", "n".repeat(93));
        assert!(ModelId::parse(&long).expect_err("97 characters").to_string().contains("96 characters"));
        assert!(ModelId::parse(&long[..96]).is_ok());
    }
}
