//! [`Shards`] are the finished shards of one run, checked against each other.

use bitkv_record::{
    ContextRow, FileHash, Machine, Manifest, RawRows, RecordError, Row, Shard, ShardEntry, has_rows,
    read_rows, sha256,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::claims::{Claim, FILES, PartlyMeasured};
use crate::missing::{Missing, MissingShard};
use crate::{Error, Result};

/// The list of contexts in the folder of a shard.
const CONTEXTS: &str = "contexts.csv";

/// The finished shards of one run.
#[derive(Debug)]
pub struct Shards {
    /// The manifest of the first shard. All others agree with it in everything that rows depend on.
    pub(crate) manifest: Manifest,
    /// What the first manifest says about its shard.
    pub(crate) entry: ShardEntry,
    /// The definition of the first shard, byte for byte.
    pub(crate) definition: Vec<u8>,
    /// Each shard, in the order of their numbers.
    pub(crate) sources: Vec<Source>,
    /// Which shard has which rows, by file, context and shard.
    pub(crate) claims: Vec<Claim>,
    /// The contexts of profiles and memory studies that have fewer rows than expected.
    pub(crate) partly_measured: Vec<PartlyMeasured>,
}

/// The part of a shard's manifest that differs between shards.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) folder: PathBuf,
    pub(crate) shard: Shard,
    pub(crate) files: Vec<FileHash>,
    pub(crate) started: String,
    pub(crate) seconds: f64,
    pub(crate) cpu: String,
    pub(crate) threads: usize,
}

/// Everything that is read of one shard before its rows.
struct Opened {
    source: Source,
    claims: Vec<Claim>,
    partly_measured: Vec<PartlyMeasured>,
}

impl Shards {
    /// Reads what the shards in these folders say about themselves. A folder is a shard, or contains shards.
    ///
    /// # Errors
    /// Fails if a folder has no shard, if shards do not belong to the same run, or if a list of contexts was
    /// changed.
    pub fn open(folders: &[PathBuf]) -> Result<Shards> {
        let folders = shard_folders(folders)?;
        let (first, others) =
            folders.split_first().ok_or_else(|| Error::NoShards { path: PathBuf::new() })?;
        let (manifest, entry) = read_manifest(first)?;
        let definition = read_definition(first)?;
        let begin = opened(first.clone(), &manifest, &entry)?;
        // The others have the same definition, and the same hash of it, which `difference` checks.
        if manifest.definition_sha256() != Some(&sha256(&definition)) {
            return Err(Error::Changed { path: first.join("definition.toml"), shard: entry.shard });
        }
        let compare = |folder: &PathBuf| {
            let (other, other_entry) = read_manifest(folder)?;
            let same_definition = read_definition(folder)? == definition;
            let found = difference((&manifest, &entry), (&other, &other_entry), same_definition);
            if let Some((what, remedy)) = found {
                return Err(Error::Different { first: first.clone(), other: folder.clone(), what, remedy });
            }
            opened(folder.clone(), &other, &other_entry)
        };
        let opened = others.par_iter().map(compare).collect::<Result<Vec<_>>>()?;
        let mut opened: Vec<Opened> = [begin].into_iter().chain(opened).collect();
        opened.sort_by(|a, b| (a.source.shard, &a.source.folder).cmp(&(b.source.shard, &b.source.folder)));
        Ok(Shards::joined(manifest, entry, definition, opened))
    }

    fn joined(manifest: Manifest, entry: ShardEntry, definition: Vec<u8>, opened: Vec<Opened>) -> Shards {
        let (mut sources, mut claims, mut partly_measured) = (Vec::new(), Vec::new(), Vec::new());
        for (number, shard) in opened.into_iter().enumerate() {
            let source = number as u32;
            sources.push(shard.source);
            claims.extend(shard.claims.into_iter().map(|claim| Claim { source, ..claim }));
            partly_measured
                .extend(shard.partly_measured.into_iter().map(|part| PartlyMeasured { source, ..part }));
        }
        claims.sort_unstable_by_key(|claim: &Claim| (claim.context, claim.source));
        Shards { manifest, entry, definition, sources, claims, partly_measured }
    }

    /// Returns the number of shards of the run, whether they are here or not.
    pub fn count(&self) -> u32 {
        self.entry.shard.count
    }

    /// Checks that every shard is here, and that every context of the run is in one of them.
    ///
    /// # Errors
    /// Fails with the list of the missing shards, or if the lists of contexts leave something out.
    pub fn check_complete(&self) -> Result<()> {
        let present: BTreeSet<Shard> = self.sources.iter().map(|source| source.shard).collect();
        let first = &self.sources[0];
        let missing = Shard::all(self.count()).filter(|shard| !present.contains(shard));
        let shards: Vec<MissingShard> =
            missing.map(|shard| MissingShard::new(shard, &first.folder, &self.manifest.command)).collect();
        let all_contexts = self.entry.contexts;
        let mut measured = 0;
        for claims in self.claims.chunk_by(|a, b| a.context == b.context) {
            self.check_owner(claims)?;
            measured += 1;
        }
        let contexts = all_contexts.saturating_sub(measured);
        if !shards.is_empty() {
            return Err(Error::Missing(Missing { shards, contexts, all_contexts }));
        }
        match contexts {
            0 => Ok(()),
            _ => Err(Error::Contexts {
                path: first.folder.clone(),
                reason: format!("and the other shards list {measured} of {all_contexts} contexts of the run"),
            }),
        }
    }

    /// Checks that all copies of a context come from the same shard of the run.
    fn check_owner(&self, claims: &[Claim]) -> Result<()> {
        let source = |claim: &Claim| &self.sources[claim.source as usize];
        let first = source(&claims[0]);
        let other = claims.iter().map(source).find(|other| other.shard != first.shard);
        other.map_or(Ok(()), |other| {
            let (context, folder) = (claims[0].context, first.folder.display());
            let reason =
                format!("lists context {context}, which belongs to shard {} in '{folder}'", first.shard);
            Err(Error::Contexts { path: other.folder.clone(), reason })
        })
    }

    /// Returns the manifest of the merged run, without its files.
    pub(crate) fn merged_manifest(&self, command: Vec<String>) -> Manifest {
        let mut options = self.manifest.options.clone();
        options.insert("merged_shards".to_owned(), self.count().into());
        let started = self.sources.iter().map(|source| &source.started).min().cloned().unwrap_or_default();
        Manifest {
            command,
            started,
            seconds: self.sources.iter().map(|source| source.seconds).sum(),
            machine: Machine { cpu: self.processors(), ..self.manifest.machine.clone() },
            threads: self.sources.iter().map(|source| source.threads).max().unwrap_or(1),
            options,
            files: Vec::new(),
            shard: None,
            ..self.manifest.clone()
        }
    }

    /// Returns the processors of all shards, the most frequent first.
    fn processors(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.sources.iter().for_each(|source| *counts.entry(&source.cpu).or_default() += 1);
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.iter().map(|(cpu, _)| *cpu).collect::<Vec<_>>().join("; ")
    }
}

/// Returns the folders of all shards. A folder without a manifest is searched for shards.
fn shard_folders(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in folders {
        if folder.join("manifest.json").exists() || bitkv_record::is_unfinished(folder) {
            found.push(folder.clone());
            continue;
        }
        let fail = |_| Error::NoShards { path: folder.clone() };
        let entries = fs::read_dir(folder).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        // Unfinished shards are hidden.
        let visible = entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        let mut shards: Vec<PathBuf> = visible.map(fs::DirEntry::path).collect();
        shards.retain(|path| path.join("manifest.json").exists() && has_rows(&path.join(CONTEXTS)));
        if shards.is_empty() {
            return Err(Error::NoShards { path: folder.clone() });
        }
        shards.sort();
        found.extend(shards);
    }
    let mut seen = BTreeSet::new();
    found.retain(|folder| seen.insert(fs::canonicalize(folder).unwrap_or_else(|_| folder.clone())));
    Ok(found)
}

/// Returns the manifest of a shard, and what it says about the shard.
fn read_manifest(folder: &Path) -> Result<(Manifest, ShardEntry)> {
    if bitkv_record::is_unfinished(folder) {
        return Err(RecordError::Unfinished { path: folder.to_owned() }.into());
    }
    let manifest = Manifest::from_run(folder)?;
    let entry = manifest.shard.clone().ok_or_else(|| Error::WholeRun { path: folder.to_owned() })?;
    Ok((manifest, entry))
}

fn read_definition(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join("definition.toml");
    Ok(bitkv_bytes::read_regular_bytes(&path).map_err(|source| RecordError::Read { path, source })?)
}

/// Returns what two manifests differ in, if their shards do not belong to the same run, and what to do.
fn difference(
    (first, a): (&Manifest, &ShardEntry),
    (other, b): (&Manifest, &ShardEntry),
    same_definition: bool,
) -> Option<(String, &'static str)> {
    const AGAIN: &str = "merge shards of one run only";
    let names = |manifest: &Manifest| -> Vec<String> {
        manifest.models.iter().map(|model| format!("{} {}", model.name, model.content())).collect()
    };
    let file_names = |manifest: &Manifest| -> Vec<String> {
        manifest.files.iter().map(|file| file.name.clone()).collect()
    };
    let found = if a.shard.count != b.shard.count {
        (format!("the number of shards, {} and {}", a.shard.count, b.shard.count), AGAIN)
    } else if !same_definition {
        ("their definition".to_owned(), AGAIN)
    } else if names(first) != names(other) {
        ("the files of their models".to_owned(), AGAIN)
    } else if first.texts != other.texts {
        ("their texts".to_owned(), AGAIN)
    } else if a.code != b.code {
        let what =
            format!("the version of bitkv that measured them, {} and {}", short(&a.code), short(&b.code));
        (what, "measure all shards with one program")
    } else if first.options != other.options || first.seed != other.seed {
        ("the experiments or options that they were measured with".to_owned(), AGAIN)
    } else if a.isa != b.isa {
        let what = format!("the class of instruction sets, {} and {}", a.isa.join(" "), b.isa.join(" "));
        (what, "measure all shards with one value of BITKV_ISA, or on nodes of one kind")
    } else if file_names(first) != file_names(other) {
        ("the files that they wrote".to_owned(), AGAIN)
    } else if a.fingerprint != b.fingerprint || a.contexts != b.contexts {
        ("the calibration or the reading of the models".to_owned(), AGAIN)
    } else {
        return None;
    };
    Some(found)
}

/// Returns the beginning of a revision or of a hash.
fn short(code: &str) -> String {
    let short = |part: &str| part.chars().take(12).collect::<String>();
    code.split('+').map(short).collect::<Vec<_>>().join("+")
}

/// Reads the list of contexts of a shard.
fn opened(folder: PathBuf, manifest: &Manifest, entry: &ShardEntry) -> Result<Opened> {
    let path = folder.join(CONTEXTS);
    check_list(&path, manifest, entry.shard)?;
    let rows: Vec<ContextRow> = read_rows(&path)?;
    let refuse = |reason| Error::Contexts { path: folder.clone(), reason };
    if rows.windows(2).any(|pair| pair[0].context >= pair[1].context) {
        return Err(refuse("lists its contexts in another order than the run".to_owned()));
    }
    let (mut claims, mut partly_measured) = (Vec::new(), Vec::new());
    for row in rows {
        if row.context >= entry.contexts {
            return Err(refuse(format!("lists context {} of {}", row.context, entry.contexts)));
        }
        let file = FILES.iter().position(|file| *file == row.file);
        let file = file.ok_or_else(|| refuse(format!("lists the unknown file {}", row.file)))?;
        if !manifest.files.iter().any(|listed| listed.name == row.file) {
            return Err(refuse(format!("has no hash of {}", row.file)));
        }
        claims.push(Claim::new(&row, file as u8));
        if row.rows < row.expected {
            partly_measured.push(PartlyMeasured::new(&row));
        }
    }
    let source = Source {
        folder,
        shard: entry.shard,
        files: manifest.files.clone(),
        started: manifest.started.clone(),
        seconds: manifest.seconds,
        cpu: manifest.machine.cpu.clone(),
        threads: manifest.threads,
    };
    Ok(Opened { source, claims, partly_measured })
}

/// Checks that the list of contexts is the one that the shard wrote.
fn check_list(path: &Path, manifest: &Manifest, shard: Shard) -> Result<()> {
    let mut rows = RawRows::open::<ContextRow>(path)?;
    let mut line = String::new();
    while rows.next_line(&mut line)? {}
    let hash = rows.finish()?;
    match manifest.files.contains(&hash) {
        true => Ok(()),
        false => Err(Error::Changed { path: path.to_owned(), shard }),
    }
}

impl Source {
    /// Returns the hash of a file of rows, if the shard wrote such a file.
    pub(crate) fn file(&self, name: &str) -> Option<&FileHash> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Opens a file of rows.
    pub(crate) fn open<R: Row>(&self, name: &str) -> Result<RawRows> {
        Ok(RawRows::open::<R>(&self.folder.join(name))?)
    }
}
