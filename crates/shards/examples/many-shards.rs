//! Writes the shards of a large run with made-up rows, and measures how long it takes to merge them and how
//! much memory.
//!
//! ```text
//! cargo run --release -p bitkv-shards --example many-shards -- write FOLDER 10000 1000
//! cargo run --release -p bitkv-shards --example many-shards -- merge FOLDER
//! ```
//!
//! The first command writes 10,000 shards with 1,000 rows each to `FOLDER/shards`, and the second merges them
//! to `FOLDER/merged`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use bitkv_record::{
    ContextRow, FileHash, GridRow, Machine, Manifest, ModelEntry, Shard, ShardEntry, sha256, sha256_of_parts,
    write_rows,
};
use bitkv_shards::{Shards, assign};
use rayon::prelude::*;

/// The number of cells of a context: 25 policies at 4 budgets.
const CELLS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder, shards, rows] => write(Path::new(folder), shards.parse()?, rows.parse()?),
        ["merge", folder] => merge(Path::new(folder)),
        _ => Err("usage: many-shards write FOLDER SHARDS ROWS_PER_SHARD | many-shards merge FOLDER".into()),
    }
}

fn write(folder: &Path, shards: u32, rows: usize) -> Result<(), Box<dyn Error>> {
    let contexts = shards as usize * rows / CELLS;
    // Costs differ, so that the contexts of a shard are far apart in the whole run.
    let costs: Vec<u64> = (0..contexts as u64).map(|context| 1000 + context * 7919 % 977).collect();
    let mut own: Vec<Vec<usize>> = vec![Vec::new(); shards as usize];
    for (context, shard) in assign(&costs, shards).into_iter().enumerate() {
        own[shard as usize].push(context);
    }
    Shard::all(shards).collect::<Vec<_>>().par_iter().try_for_each(|shard| {
        let folder = folder.join("shards").join(shard.folder_name());
        write_shard(&folder, *shard, &own[shard.index as usize - 1], contexts)
            .map_err(|error| error.to_string())
    })?;
    Ok(())
}

fn write_shard(folder: &Path, shard: Shard, own: &[usize], contexts: usize) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let rows: Vec<GridRow> =
        own.iter().flat_map(|context| (0..CELLS).map(|cell| row(*context, cell))).collect();
    write_rows(&folder.join("rows.csv"), &rows)?;
    let listed = |context: &usize| ContextRow {
        context: *context,
        file: "rows.csv".into(),
        study: "made-up".into(),
        model: "none".into(),
        text: format!("text-{context}"),
        expected: CELLS,
        rows: CELLS,
        timings: 0,
    };
    write_rows(&folder.join("contexts.csv"), &own.iter().map(listed).collect::<Vec<_>>())?;
    fs::write(folder.join("definition.toml"), "made up")?;
    let files = ["rows.csv", "contexts.csv"].map(|name| FileHash::from_file(&folder.join(name)));
    let files = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    manifest(shard, contexts, files).write(&folder.join("manifest.json"), bitkv_bytes::Existing::Replace)?;
    Ok(())
}

fn row(context: usize, cell: usize) -> GridRow {
    let mut key = sha256_of_parts([format!("{context} {cell}")]);
    key.truncate(16);
    let value = (context * 31 + cell) as f64 / 1e7;
    GridRow {
        key,
        experiment: "made-up".into(),
        model: "none".into(),
        policy: format!("uniform+scorer-{}", cell / 4),
        text: format!("text-{context}"),
        context_tokens: 1024,
        targets: 128,
        kl_nats: Some(value),
        agreement: Some(0.5),
        attention_cosine: Some(0.9 + value / 100.0),
        ..GridRow::default()
    }
}

fn manifest(shard: Shard, contexts: usize, files: Vec<FileHash>) -> Manifest {
    let (code, fingerprint) = ("made-up".to_owned(), "0".repeat(64));
    Manifest {
        format: bitkv_record::FORMAT,
        bitkv_version: "0.1.0".into(),
        revision: "made-up".into(),
        dirty: false,
        command: vec!["many-shards".into()],
        started: "2026-01-01T00:00:00Z".into(),
        seconds: 1.0,
        machine: Machine { cpu: "none".into(), cores: 1, simd: Vec::new() },
        threads: 1,
        seed: 0,
        models: vec![ModelEntry { name: "none".into(), source: "made up".into(), files: Vec::new() }],
        texts: Vec::new(),
        options: [("definition_sha256".to_owned(), sha256(b"made up").into())].into_iter().collect(),
        files,
        shard: Some(ShardEntry { shard, contexts, code, isa: vec!["vector".into()], fingerprint }),
    }
}

fn merge(folder: &Path) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let shards = Shards::open(&[folder.join("shards")])?;
    let opened = started.elapsed().as_secs_f64();
    let merged = shards.merge(&folder.join("merged"), vec!["many-shards".into()])?.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = bitkv_bytes::peak_resident_bytes().unwrap_or_default() as f64 / 1e6;
    println!(
        "{} rows of {} shards: {opened:.1} s to read the manifests, {seconds:.1} s in all, {peak:.0} MB at most",
        merged.measured(),
        merged.shards
    );
    Ok(())
}
