//! `manifest.json`: what was run, on what, with what.

use crate::{ContentError, FORMAT, FileHash, RecordError, json, rows, timestamp};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KIND: &str = "run manifest";

/// The provenance of a run: everything needed to run it again and to know whether two runs may be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format of the run's files, [`crate::FORMAT`]; 1 where a file does not say.
    #[serde(default = "first_format")]
    pub format: u32,
    /// Version of the suite.
    pub bitkv_version: String,
    /// Source revision the binary was built from; "unknown" when it was not built from a checkout.
    pub revision: String,
    /// Whether the sources differed from that revision.
    pub dirty: bool,
    /// The command, argument by argument, program name first.
    pub command: Vec<String>,
    /// When the run began: RFC 3339, UTC (see [`crate::rfc3339`]).
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The machine it ran on.
    pub machine: Machine,
    /// Threads used.
    pub threads: usize,
    /// The seed every random choice of the run derives from.
    pub seed: u64,
    /// The models measured.
    pub models: Vec<ModelEntry>,
    /// The texts measured on.
    pub texts: Vec<FileHash>,
    /// Every option that can change a number, by name.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The files of rows as they were written, unpacked; none in files of format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileHash>,
}

/// All that is read of a manifest before its version is known.
#[derive(Deserialize)]
struct Version {
    #[serde(default = "first_format")]
    format: u32,
}

fn first_format() -> u32 {
    1
}

/// The machine a run took place on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Processor name as the operating system gives it.
    pub cpu: String,
    /// Logical cores available to the process.
    pub cores: usize,
    /// Instruction-set extensions found and used, for example "avx2".
    pub simd: Vec<String>,
}

/// One model of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Name used in every row of the run.
    pub name: String,
    /// Where it came from: "built-in", a folder, a file or a hub id.
    pub source: String,
    /// Its files.
    pub files: Vec<FileHash>,
}

json::document!(Manifest);

impl Manifest {
    /// Parses a manifest; `file` names the text in errors. All keys must be there and known, the start an RFC
    /// 3339 UTC time, the duration finite and not negative, every hash 64 lower-case hex digits, every model
    /// named once.
    ///
    /// # Errors
    /// When one of these does not hold, or the format is newer than this version.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        // Before unknown keys, which a newer format may well have.
        let Version { format } = json::parse(text, file, KIND)?;
        if format > FORMAT {
            let reason = ContentError::Newer { format, known: FORMAT };
            return Err(RecordError::Content { file: file.to_owned(), kind: KIND, reason });
        }
        let manifest: Self = json::parse(text, file, KIND)?;
        manifest.check(file)?;
        Ok(manifest)
    }

    /// Whether the files of rows in the run folder, packed or not, are those that the run wrote.
    ///
    /// # Errors
    /// With the first that is missing or was changed.
    pub fn check_files(&self, folder: &Path) -> Result<(), RecordError> {
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

    fn agrees(&self) -> Result<(), ContentError> {
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
        }
    }

    #[test]
    fn a_manifest_reads_back_equal() {
        let file = tempfile::NamedTempFile::new().unwrap();
        example().write(file.path()).unwrap();
        assert_eq!(Manifest::read(file.path()).unwrap(), example());
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
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
        let said = Manifest::from_json(&newer, "m.json").unwrap_err().to_string();
        assert!(
            said.contains("format 3") && said.contains("use a newer bitkv") && !said.contains("surprise"),
            "{said}"
        );
        let old = good.replacen("  \"format\": 2,\n", "", 1);
        assert_eq!(Manifest::from_json(&old, "m.json").unwrap().format, 1);
        let missing = good.replacen("  \"seed\": 7,\n", "", 1);
        assert_ne!(missing, good);
        assert!(Manifest::from_json(&missing, "m.json").unwrap_err().to_string().contains("seed"));
    }
}
