//! How far a shard is, from its journals.

use bitkv_record::unfinished_rows;

use crate::Layout;

/// Returns the number of rows that a shard without a run folder has written; `None` if it has no journals.
pub(crate) fn rows_written(layout: &Layout, shard: usize, shards: usize) -> Option<usize> {
    unfinished_rows(&layout.shard(shard, shards))
}

/// Returns the seconds that a finished shard has taken, as its manifest says.
pub(crate) fn measured_seconds(layout: &Layout, shard: usize, shards: usize) -> Option<f64> {
    let manifest = bitkv_bytes::read_bytes(
        &layout.shard(shard, shards).join("manifest.json"),
        bitkv_bytes::limit::WRITTEN,
    )
    .ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    manifest.get("seconds")?.as_f64()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn complete_lines_after_the_headers_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(&folder.path().join("run")).unwrap();
        assert_eq!(rows_written(&layout, 1, 2), None);
        let journals = layout.folder().join(".1-of-2.partial/.bitkv-journal");
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
