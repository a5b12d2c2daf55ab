//! `manifest.json`: the provenance of a run.

use crate::{
    ContentError, FORMAT, FileHash, RecordError, ShardEntry, json, rows, sha256_of_parts, timestamp,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(crate) const KIND: &str = "run manifest";

/// The provenance of a run: everything that is needed to repeat it, and to decide whether two runs can be
/// compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format of the run's files, [`crate::FORMAT`]. A manifest without it has version 1.
    #[serde(default = "first_format")]
    pub format: u32,
    /// The version of the suite.
    pub bitkv_version: String,
    /// The source revision that the program was built from; "unknown" if it was not built from a checkout.
    pub revision: String,
    /// Whether the sources had changes that are not in this revision.
    pub dirty: bool,
    /// The command: the name of the program and its arguments.
    pub command: Vec<String>,
    /// The time at which the run began, as RFC 3339 in UTC (see [`crate::rfc3339`]).
    pub started: String,
    /// The duration of the run in seconds.
    pub seconds: f64,
    /// The machine.
    pub machine: Machine,
    /// The number of threads.
    pub threads: usize,
    /// The seed from which every random choice of the run derives.
    pub seed: u64,
    /// The models that were measured.
    pub models: Vec<ModelEntry>,
    /// The texts that they were measured on.
    pub texts: Vec<FileHash>,
    /// Every option that can change a result, by name.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The hashes of the files of rows, without compression. Empty in files of format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileHash>,
    /// Which part of a run this is; `None` if it is a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardEntry>,
}

/// The part of a manifest that is read before its version is known.
#[derive(Deserialize)]
struct Version {
    #[serde(default = "first_format")]
    format: u32,
}

fn first_format() -> u32 {
    1
}

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The name of the processor, as the operating system gives it.
    pub cpu: String,
    /// The number of logical cores available to the process.
    pub cores: usize,
    /// The instruction-set extensions in use, for example "avx2".
    pub simd: Vec<String>,
}

/// One model of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name of the model in the rows of the run.
    pub name: String,
    /// Where the model came from: "built-in", a folder, a file or a hub id.
    pub source: String,
    /// The files of the model.
    pub files: Vec<FileHash>,
}

impl ModelEntry {
    /// Returns a hash of the files that decide what the model computes for a text: the weights, the
    /// configuration and the tokenizer. Names of files do not matter.
    pub fn content(&self) -> String {
        let decides = |file: &&FileHash| file.name != "generation_config.json";
        sha256_of_parts(self.files.iter().filter(decides).map(|file| file.sha256.as_str()))
    }
}

json::document!(Manifest);

impl Manifest {
    /// Reads the manifest of the run in a folder, which must be a regular file.
    ///
    /// # Errors
    /// Fails if there is no such file, or as [`Self::from_json`] does.
    pub fn from_run(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join("manifest.json");
        let text = bitkv_bytes::read_document(&path, bitkv_bytes::limit::WRITTEN);
        let text = text.map_err(|source| RecordError::Read { path: path.clone(), source })?;
        Self::from_json(&text, &path.display().to_string())
    }

    /// Parses a manifest. `file` names the text in errors.
    ///
    /// # Errors
    /// Fails if a key is missing or unknown, the start is not an RFC 3339 time in UTC, the duration is
    /// negative or not finite, a hash is not 64 lower-case hex digits, a model is listed twice, or the format
    /// is newer than this version reads.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        // The version is read first, because a newer format may have keys that are unknown here.
        let Version { format } = json::parse(text, file, KIND)?;
        if format > FORMAT {
            let reason = ContentError::Newer { format, known: FORMAT };
            return Err(RecordError::Content { file: file.to_owned(), kind: KIND, reason });
        }
        let manifest: Self = json::parse(text, file, KIND)?;
        manifest.check(file)?;
        Ok(manifest)
    }

    /// Returns the hash of the definition that was run, if the manifest has it.
    pub fn definition_sha256(&self) -> Option<&str> {
        self.options.get("definition_sha256")?.as_str()
    }

    /// Checks that the definition and the files of rows in the run folder, compressed or not, are those that
    /// the run wrote.
    ///
    /// # Errors
    /// Fails if a file is missing or has changed. The message names the first one.
    pub fn check_files(&self, folder: &Path) -> Result<(), RecordError> {
        if let Some(expected) = self.definition_sha256() {
            let path = folder.join("definition.toml");
            let bytes = bitkv_bytes::read_bytes(&path, bitkv_bytes::limit::DEFINITION);
            let bytes = bytes.map_err(|source| RecordError::Read { path: path.clone(), source })?;
            if crate::sha256(&bytes) != expected {
                let (file, reason) = (path.display().to_string(), ContentError::OtherFile);
                return Err(RecordError::Content { file, kind: "definition of this run", reason });
            }
        }
        for file in &self.files {
            let path = folder.join(&file.name);
            let bytes = rows::read(&path);
            let bytes = bytes.map_err(|source| RecordError::Read { path: path.clone(), source })?;
            if FileHash::from_bytes(&*file.name, &bytes) != *file {
                let (file, reason) = (path.display().to_string(), ContentError::OtherFile);
                return Err(RecordError::Content { file, kind: "file of rows", reason });
            }
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), ContentError> {
        if !timestamp::is_rfc3339_utc(&self.started) {
            return Err(ContentError::Started { text: self.started.clone() });
        }
        if !self.seconds.is_finite() || self.seconds < 0.0 {
            return Err(ContentError::Seconds { seconds: self.seconds });
        }
        if self.command.is_empty() {
            return Err(ContentError::NoCommand);
        }
        for (i, model) in self.models.iter().enumerate() {
            if self.models[..i].iter().any(|earlier| earlier.name == model.name) {
                return Err(ContentError::ModelTwice { name: model.name.clone() });
            }
        }
        for hash in self.models.iter().flat_map(|model| &model.files).chain(&self.texts) {
            if !is_sha256(&hash.sha256) {
                let (sha256, file) = (hash.sha256.clone(), hash.name.clone());
                return Err(ContentError::NotAHash { sha256, file });
            }
        }
        Ok(())
    }
}

/// Returns whether a text is 64 lower-case hex digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        let options = serde_json::json!({"context": 512, "budgets": [0.5, 0.2]});
        Manifest {
            format: crate::FORMAT,
            bitkv_version: "0.1.0".into(),
            revision: "abc123".into(),
            dirty: true,
            command: vec!["bitkv".into(), "verify".into()],
            started: "2026-01-02T03:04:05Z".into(),
            seconds: 12.5,
            machine: Machine { cpu: "some cpu".into(), cores: 2, simd: vec!["avx2".into()] },
            threads: 2,
            seed: 7,
            models: vec![ModelEntry {
                name: "tiny".into(),
                source: "built-in".into(),
                files: vec![FileHash::from_bytes("model.safetensors", b"weights")],
            }],
            texts: vec![FileHash::from_bytes("a.txt", b"text")],
            options: options.as_object().unwrap().clone(),
            files: vec![FileHash::from_bytes("rows.csv", b"rows")],
            shard: None,
        }
    }

    #[test]
    fn a_manifest_reads_back_equal() {
        let file = tempfile::NamedTempFile::new().unwrap();
        example().write(file.path(), bitkv_bytes::Existing::Replace).unwrap();
        assert_eq!(Manifest::read(file.path()).unwrap(), example());
    }

    #[test]
    fn errors_name_the_key_of_an_impossible_value() {
        type Spoil = fn(&mut Manifest);
        let cases: [(Spoil, &str); 5] = [
            (|m| m.started = "yesterday".into(), "started"),
            (|m| m.seconds = f64::NAN, "seconds"),
            (|m| m.command.clear(), "command"),
            (|m| m.models.push(m.models[0].clone()), "twice"),
            (|m| m.texts[0].sha256 = "ABC".into(), "sha256"),
        ];
        for (spoil, expected) in cases {
            let mut manifest = example();
            spoil(&mut manifest);
            let message = manifest.check("m.json").unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("m.json"), "{message}");
        }
    }

    #[test]
    fn unknown_and_missing_keys_are_refused() {
        let good = json::render(&example(), "m.json", KIND).unwrap();
        let extra = good.replacen("\"dirty\"", "\"surprise\": 1,\n  \"dirty\"", 1);
        assert!(Manifest::from_json(&extra, "m.json").unwrap_err().to_string().contains("surprise"));
        let newer = good.replacen("\"format\": 2", "\"format\": 3, \"surprise\": 1", 1);
        let message = Manifest::from_json(&newer, "m.json").unwrap_err().to_string();
        assert!(
            message.contains("format 3")
                && message.contains("use a newer bitkv")
                && !message.contains("surprise"),
            "{message}"
        );
        let old = good.replacen("  \"format\": 2,\n", "", 1);
        assert_eq!(Manifest::from_json(&old, "m.json").unwrap().format, 1);
        let missing = good.replacen("  \"seed\": 7,\n", "", 1);
        assert_ne!(missing, good);
        assert!(Manifest::from_json(&missing, "m.json").unwrap_err().to_string().contains("seed"));
    }
}
