//! Shards that are written without measuring anything.

use std::fs;
use std::path::{Path, PathBuf};

use bitkv_record::{
    ContextRow, FileHash, GridRow, HeadRow, Machine, Manifest, ModelEntry, Shard, ShardEntry, sha256,
    sha256_of_parts, write_rows,
};

/// The number of contexts of cells. They come after one context of heads.
pub(crate) const CONTEXTS: usize = 12;
/// The number of cells of a context.
pub(crate) const CELLS: usize = 3;
/// The content of `definition.toml`.
pub(crate) const DEFINITION: &str = "the definition";
/// The number of heads.
const HEADS: usize = 4;

/// A run of one profile with one text, and of twelve contexts with three cells each, divided into shards.
pub(crate) struct Example {
    pub(crate) root: tempfile::TempDir,
    pub(crate) count: u32,
}

impl Example {
    /// Writes all shards, and the whole run as one machine would write it.
    pub(crate) fn new(count: u32) -> Example {
        let example = Example { root: tempfile::tempdir().unwrap(), count };
        for shard in Shard::all(count) {
            example.write(shard, |_| {}, |_| {});
        }
        let rows: Vec<GridRow> = (1..=CONTEXTS).flat_map(cells).collect();
        fs::create_dir(example.root.path().join("whole")).unwrap();
        write_rows(&example.root.path().join("whole/rows.csv"), &rows).unwrap();
        write_rows(&example.root.path().join("whole/heads.csv"), &heads()).unwrap();
        example
    }

    pub(crate) fn folder(&self, shard: u32) -> PathBuf {
        self.root.path().join("shards").join(Shard { index: shard, count: self.count }.folder_name())
    }

    pub(crate) fn shards(&self) -> PathBuf {
        self.root.path().join("shards")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub(crate) fn whole(&self, file: &str) -> String {
        fs::read_to_string(self.root.path().join("whole").join(file)).unwrap()
    }

    /// Writes one shard. `spoil_rows` and `spoil_manifest` change what it writes.
    pub(crate) fn write(
        &self,
        shard: Shard,
        spoil_rows: impl Fn(&mut GridRow),
        spoil_manifest: impl Fn(&mut Manifest),
    ) {
        self.write_to(&self.folder(shard.index), shard, spoil_rows, spoil_manifest);
    }

    pub(crate) fn write_to(
        &self,
        folder: &Path,
        shard: Shard,
        spoil_rows: impl Fn(&mut GridRow),
        spoil_manifest: impl Fn(&mut Manifest),
    ) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        // The contexts are dealt in turn, which is not the order of their files.
        let own: Vec<usize> = (0..=CONTEXTS).filter(|i| *i as u32 % shard.count == shard.index - 1).collect();
        let mut rows: Vec<GridRow> = own.iter().filter(|i| **i > 0).flat_map(|i| cells(*i)).collect();
        rows.iter_mut().for_each(spoil_rows);
        write_rows(&folder.join("rows.csv"), &rows).unwrap();
        let own_heads = if own.contains(&0) { heads() } else { Vec::new() };
        write_rows(&folder.join("heads.csv"), &own_heads).unwrap();
        let listed: Vec<ContextRow> = own.iter().map(|i| context(*i)).collect();
        write_rows(&folder.join("contexts.csv"), &listed).unwrap();
        fs::write(folder.join("definition.toml"), DEFINITION).unwrap();
        let mut manifest = manifest(shard);
        for name in ["rows.csv", "heads.csv", "contexts.csv"] {
            manifest.files.push(FileHash::from_file(&folder.join(name)).unwrap());
        }
        spoil_manifest(&mut manifest);
        manifest.write(&folder.join("manifest.json"), bitkv_bytes::Existing::Replace).unwrap();
    }
}

fn context(number: usize) -> ContextRow {
    let (file, study, expected) = match number {
        0 => ("heads.csv", "heads", HEADS),
        _ => ("rows.csv", "cells", CELLS),
    };
    ContextRow {
        context: number,
        file: file.into(),
        study: study.into(),
        model: "tiny".into(),
        text: format!("text-{number}"),
        expected,
        rows: expected,
        timings: 0,
    }
}

/// Returns the rows of one context. A text with a comma is quoted in the file.
fn cells(context: usize) -> Vec<GridRow> {
    let cell = |cell: usize| {
        let mut key = sha256_of_parts([format!("{context} {cell}")]);
        key.truncate(16);
        GridRow {
            key,
            experiment: "cells".into(),
            model: "tiny".into(),
            policy: format!("policy-{cell}"),
            text: format!("text-{context}, \"quoted\""),
            context_tokens: 100 + context,
            ..GridRow::default()
        }
    };
    (0..CELLS).map(cell).collect()
}

fn heads() -> Vec<HeadRow> {
    let head = |head| HeadRow {
        study: "heads".into(),
        model: "tiny".into(),
        text: "text-0".into(),
        context: 64,
        head,
        entropy_bits: Some(head as f64),
        ..HeadRow::default()
    };
    (0..HEADS).map(head).collect()
}

fn manifest(shard: Shard) -> Manifest {
    let fingerprint = "f".repeat(64);
    Manifest {
        format: bitkv_record::FORMAT,
        bitkv_version: "0.1.0".into(),
        revision: "abc".into(),
        dirty: false,
        command: ["bitkv", "run", "a.toml", "--shard", &shard.to_string()].map(String::from).into(),
        started: format!("2026-01-02T03:04:{:02}Z", shard.index % 60),
        seconds: 2.0,
        machine: Machine { cpu: "some cpu".into(), cores: 2, simd: vec![] },
        threads: 2,
        seed: 0,
        models: vec![ModelEntry {
            name: "tiny".into(),
            source: "built-in".into(),
            files: vec![FileHash::from_bytes("model.safetensors", b"weights")],
        }],
        texts: vec![FileHash::from_bytes("a.txt", b"text")],
        options: [("definition_sha256".to_owned(), sha256(DEFINITION.as_bytes()).into())]
            .into_iter()
            .collect(),
        files: Vec::new(),
        shard: Some(ShardEntry {
            shard,
            contexts: CONTEXTS + 1,
            code: "abc".into(),
            isa: vec!["vector".into()],
            fingerprint,
        }),
    }
}
