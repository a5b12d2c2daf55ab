//! Copies the rows of all shards into one run, in the order of the whole run.

use bitkv_record::{FileHash, GridRow, HeadRow, Manifest, MemoryRow, ResumableRun, Row, TimingRow};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::claims::{Claim, FILES};
use crate::failures::{FailedCell, Failures, describe};
use crate::missing::{command_for, sibling, unused};
use crate::open_files::OpenFiles;
use crate::row_writer::RowWriter;
use crate::{Error, Result, Shards};

/// The hash of a file that was written, and the number of its rows.
type Written = (FileHash, u64);

/// The name of the file of timings.
const TIMINGS: &str = "timings.csv";

/// A merged run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The folder of the run.
    pub folder: PathBuf,
    /// The number of rows in each file.
    pub rows: BTreeMap<String, u64>,
    /// The number of shards.
    pub shards: u32,
    /// The number of cells and other parts that failed.
    pub failures: u64,
    /// The first failures.
    pub failed: Vec<FailedCell>,
    /// For each shard with failures, the command that measures exactly these cells again.
    pub commands: Vec<String>,
}

impl Merged {
    /// Returns the number of rows of all kinds, timings not counted.
    pub fn measured(&self) -> u64 {
        self.rows.iter().filter(|(name, _)| *name != TIMINGS).map(|(_, rows)| rows).sum()
    }
}

/// A merged run that has all rows, and not yet its final name. Further files, such as reports, can be written
/// into it. If it is dropped, it is removed.
#[derive(Debug)]
pub struct UnfinishedMerge {
    merged: Merged,
    /// `None` after the run was finished.
    run: Option<ResumableRun>,
}

impl UnfinishedMerge {
    /// Returns what was merged. Its folder is the final one.
    pub fn merged(&self) -> &Merged {
        &self.merged
    }

    /// Returns the folder that the files are in until the run is finished.
    pub fn folder(&self) -> &Path {
        self.run.as_ref().map_or(&self.merged.folder, ResumableRun::path)
    }

    /// Gives the run its final name.
    ///
    /// # Errors
    /// Fails if the name was taken in the meantime, or the folder cannot be moved.
    pub fn finish(mut self) -> Result<Merged> {
        if let Some(run) = self.run.take() {
            run.finish()?;
        }
        Ok(self.merged.clone())
    }
}

impl Drop for UnfinishedMerge {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.discard();
        }
    }
}

impl Shards {
    /// Merges the shards into a run at `out`, which [`UnfinishedMerge::finish`] gives its name. `command` is
    /// the command line of this process. The rows are those that one machine would have written, byte for
    /// byte.
    ///
    /// # Errors
    /// Fails if shards are missing, if two of them have different values for one row, if a file was changed,
    /// or if the run cannot be written. Nothing is left at `out` then.
    pub fn merge(&self, out: &Path, command: Vec<String>) -> Result<UnfinishedMerge> {
        self.check_complete()?;
        self.check_outside(out)?;
        let run = ResumableRun::open(out, &format!("merge of {}", self.entry.fingerprint))?;
        match self.write(&run, command) {
            Ok(merged) => Ok(UnfinishedMerge { merged, run: Some(run) }),
            Err(error) => {
                run.discard();
                Err(error)
            }
        }
    }

    /// Checks that the run is not written into one of the shards.
    fn check_outside(&self, out: &Path) -> Result<()> {
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(parent) = parent.canonicalize() else { return Ok(()) };
        let is_inside = |folder: &Path| folder.canonicalize().is_ok_and(|folder| parent.starts_with(folder));
        match self.sources.iter().find(|source| is_inside(&source.folder)) {
            None => Ok(()),
            Some(source) => Err(Error::Inside { out: out.to_owned(), shard: source.folder.clone() }),
        }
    }

    fn write(&self, run: &ResumableRun, command: Vec<String>) -> Result<Merged> {
        let (mut rows, mut files, mut failures) = (BTreeMap::new(), Vec::new(), Failures::default());
        let mut record = |written: Option<Written>| {
            if let Some((hash, count)) = written {
                rows.insert(hash.name.clone(), count);
                files.push(hash);
            }
        };
        // The order of the files is that of a run's manifest.
        let (cells, timings) = self.copy_cells(run, &mut failures)?;
        record(Some(cells));
        record(timings);
        record(self.copy_parts::<HeadRow>(run, 1)?);
        record(self.copy_parts::<MemoryRow>(run, 2)?);
        self.add_partly_measured(&mut failures)?;
        let manifest = Manifest { files, ..self.merged_manifest(command) };
        let definition = String::from_utf8_lossy(&self.definition);
        run.write_text("definition.toml", &definition)?;
        run.write_json("manifest.json", &manifest)?;
        Ok(Merged {
            folder: run.target().to_owned(),
            rows,
            shards: self.count(),
            failures: failures.count,
            commands: self.commands(&failures.sources),
            failed: failures.described,
        })
    }

    /// Copies the rows of cells and their timings. If several shards have a context, a row without an error
    /// replaces one with an error.
    fn copy_cells(&self, run: &ResumableRun, failures: &mut Failures) -> Result<(Written, Option<Written>)> {
        let mut cells = OpenFiles::<GridRow>::new(&self.sources, FILES[0]);
        let mut timings = OpenFiles::<TimingRow>::new(&self.sources, TIMINGS);
        let mut out = RowWriter::create::<GridRow>(&run.path().join(FILES[0]))?;
        let timed = self.manifest.files.iter().any(|file| file.name == TIMINGS);
        let mut timed_out = match timed {
            true => Some(RowWriter::create::<TimingRow>(&run.path().join(TIMINGS))?),
            false => None,
        };
        for claims in self.contexts(0) {
            match claims {
                // Most contexts are in one shard, whose lines go through memory one by one.
                [claim] => cells.copy(claim.source, claim.rows, |line, rows| {
                    let error = rows.value(line, "error")?;
                    if !error.is_empty() {
                        failures
                            .add(claim.source, self.shard(claim.source), || describe(line, rows, &error))?;
                    }
                    out.add(line)
                })?,
                _ => {
                    let chosen = self.resolve(claims, &mut cells, &mut out, failures)?;
                    if let Some(out) = &mut timed_out {
                        copy_timings(claims, &chosen, &mut timings, out)?;
                    }
                    continue;
                }
            }
            if let Some(out) = &mut timed_out {
                timings.copy(claims[0].source, claims[0].timings, |line, _| out.add(line))?;
            }
        }
        cells.finish()?;
        timings.finish()?;
        Ok((out.finish()?, timed_out.map(RowWriter::finish).transpose()?))
    }

    /// Copies the rows of a context that several shards have. Returns the key of each row and the shard that
    /// it was taken from.
    fn resolve(
        &self,
        claims: &[Claim],
        cells: &mut OpenFiles<'_, GridRow>,
        out: &mut RowWriter,
        failures: &mut Failures,
    ) -> Result<Vec<(String, u32)>> {
        // The line, whether its cell failed, and the shard that it comes from.
        let mut chosen: Vec<(String, bool, u32)> = Vec::new();
        for (number, claim) in claims.iter().enumerate() {
            let mut at = 0;
            cells.copy(claim.source, claim.rows, |line, rows| {
                let failed = !rows.value(line, "error")?.is_empty();
                let found = (line.to_owned(), failed, claim.source);
                if number == 0 {
                    chosen.push(found);
                    return Ok(());
                }
                let key = rows.value(line, "key")?.into_owned();
                let row = chosen
                    .get_mut(at)
                    .filter(|row| rows.value(&row.0, "key").is_ok_and(|other| other == key));
                at += 1;
                match row {
                    Some(row) if row.1 && !failed => *row = found,
                    Some(row) if failed || row.0 == line => {}
                    _ => return Err(self.conflict(claims[0], *claim, 0, key)),
                }
                Ok(())
            })?;
            if number > 0 && at < chosen.len() {
                let key = format!("number {at} of context {}", claim.context);
                return Err(self.conflict(claims[0], *claim, 0, key));
            }
        }
        let mut taken = Vec::new();
        for (line, failed, source) in chosen {
            let file = cells.file(source)?;
            if failed {
                let error = file.value(&line, "error")?;
                failures.add(source, self.shard(source), || describe(&line, file, &error))?;
            }
            taken.push((file.value(&line, "key")?.into_owned(), source));
            out.add(&line)?;
        }
        Ok(taken)
    }

    /// Copies a file of rows in which failures left rows out. If several shards have a context, the one with
    /// the most rows is used.
    fn copy_parts<R: Row>(&self, run: &ResumableRun, file: u8) -> Result<Option<Written>> {
        let name = FILES[usize::from(file)];
        if !self.manifest.files.iter().any(|file| file.name == name) {
            return Ok(None);
        }
        let mut files = OpenFiles::<R>::new(&self.sources, name);
        let mut out = RowWriter::create::<R>(&run.path().join(name))?;
        for claims in self.contexts(file) {
            let mut copies: Vec<(Claim, Vec<String>)> = Vec::new();
            for claim in claims {
                let mut lines = Vec::new();
                files.copy(claim.source, claim.rows, |line, _| {
                    lines.push(line.to_owned());
                    Ok(())
                })?;
                copies.push((*claim, lines));
            }
            let lines = self.most_rows(&copies, file)?;
            lines.iter().try_for_each(|line| out.add(line))?;
        }
        files.finish()?;
        out.finish().map(Some)
    }

    /// Returns the lines of the copy of a context that has the most rows, after checking that all rows of the
    /// other copies are among them.
    fn most_rows<'c>(&self, copies: &'c [(Claim, Vec<String>)], file: u8) -> Result<&'c [String]> {
        let Some((best, lines)) = copies.iter().rev().max_by_key(|(claim, _)| claim.rows) else {
            return Ok(&[]);
        };
        for (other, own) in copies {
            if let Some(line) = own.iter().find(|line| !lines.contains(line)) {
                return Err(self.conflict(*best, *other, file, line.trim_end().to_owned()));
            }
        }
        Ok(lines)
    }

    /// Returns the claims of each context whose rows are in a file.
    fn contexts(&self, file: u8) -> impl Iterator<Item = &[Claim]> {
        self.claims.chunk_by(|a, b| a.context == b.context).filter(move |claims| claims[0].file == file)
    }

    /// Adds the parts of profiles and memory studies that no shard has measured.
    fn add_partly_measured(&self, failures: &mut Failures) -> Result<()> {
        let complete: BTreeSet<u32> = {
            let complete = self.claims.iter().filter(|claim| claim.file > 0 && claim.complete);
            complete.map(|claim| claim.context).collect()
        };
        // Several copies of a context may lack the same rows.
        let mut seen = complete;
        self.partly_measured
            .iter()
            .filter(|part| seen.insert(part.context))
            .try_for_each(|part| failures.add(part.source, self.shard(part.source), || Ok(part.text.clone())))
    }

    /// Returns the commands that measure the failed cells of these shards again.
    fn commands(&self, sources: &BTreeSet<u32>) -> Vec<String> {
        let command = |&source: &u32| {
            let source = &self.sources[source as usize];
            let again = unused(&sibling(&source.folder, &format!("{}-again", source.shard.folder_name())));
            command_for(&self.manifest.command, source.shard, &again, Some(&source.folder))
        };
        sources.iter().map(command).collect()
    }

    fn shard(&self, source: u32) -> String {
        self.sources[source as usize].shard.to_string()
    }

    fn conflict(&self, first: Claim, other: Claim, file: u8, key: String) -> Error {
        let path = |claim: Claim| self.sources[claim.source as usize].folder.join(FILES[usize::from(file)]);
        Error::Conflict { first: path(first), other: path(other), key }
    }
}

/// Copies the timings of the chosen rows of a context that several shards have.
fn copy_timings(
    claims: &[Claim],
    chosen: &[(String, u32)],
    timings: &mut OpenFiles<'_, TimingRow>,
    out: &mut RowWriter,
) -> Result<()> {
    let mut lines: HashMap<(String, u32), String> = HashMap::new();
    for claim in claims {
        timings.copy(claim.source, claim.timings, |line, rows| {
            lines.insert((rows.value(line, "key")?.into_owned(), claim.source), line.to_owned());
            Ok(())
        })?;
    }
    chosen.iter().filter_map(|row| lines.get(row)).try_for_each(|line| out.add(line))
}
