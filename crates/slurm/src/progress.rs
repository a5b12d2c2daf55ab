//! How far a shard is, from its journals.

use std::fs;

use crate::Layout;

/// The journals with rows. That of timings is left out, because estimates do not count timings.
const JOURNALS: [&str; 3] = ["rows.csv.journal", "heads.csv.journal", "memory.csv.journal"];
/// The lines of the header of a journal.
const HEADER: usize = 2;

/// Returns the number of rows that a shard without a run folder has written; `None` if it has no journals.
pub(crate) fn rows_written(layout: &Layout, shard: usize, shards: usize) -> Option<usize> {
    let folder = layout.journals(shard, shards);
    // A line without its line break is not complete.
    let lines = |name: &&str| {
        let bytes = fs::read(folder.join(name)).ok()?;
        Some(bytes.iter().filter(|byte| **byte == b'\n').count().saturating_sub(HEADER))
    };
    folder.is_dir().then(|| JOURNALS.iter().filter_map(lines).sum())
}

/// Returns the seconds that a finished shard has taken, as its manifest says.
pub(crate) fn measured_seconds(layout: &Layout, shard: usize, shards: usize) -> Option<f64> {
    let manifest = fs::read(layout.shard(shard, shards).join("manifest.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    manifest.get("seconds")?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_lines_after_the_headers_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(&folder.path().join("run")).unwrap();
        assert_eq!(rows_written(&layout, 1, 2), None);
        let journals = layout.journals(1, 2);
        fs::create_dir_all(&journals).unwrap();
        assert_eq!(rows_written(&layout, 1, 2), Some(0));
        fs::write(journals.join("rows.csv.journal"), "# a\nb\n1\n2\nunfin").unwrap();
        fs::write(journals.join("memory.csv.journal"), "# a\nb\n1\n").unwrap();
        fs::write(journals.join("timings.csv.journal"), "# a\nb\n1\n2\n3\n").unwrap();
        fs::write(journals.join("heads.csv.journal"), "# a").unwrap();
        assert_eq!(rows_written(&layout, 1, 2), Some(3));
        assert_eq!(measured_seconds(&layout, 1, 2), None);
    }
}
