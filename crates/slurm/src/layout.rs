//! The paths in the folder `OUT.shards`.

use std::path::{Path, PathBuf, absolute};

use bitkv_record::Shard;

use crate::{Error, Result};

/// The paths of a run that is measured in shards: the merged run `OUT`, and the folder `OUT.shards` with
/// everything else. All paths are absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    out: PathBuf,
    folder: PathBuf,
}

impl Layout {
    /// Returns the paths of the merged run `out`, which may also be named by its folder `OUT.shards`.
    ///
    /// # Errors
    /// When the path does not end in a name, or cannot be written into a script.
    pub fn new(out: &Path) -> Result<Self> {
        let refuse = || Error::Path { path: out.to_owned() };
        let out = absolute(out).map_err(|_| refuse())?;
        let name = out.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?;
        let out =
            out.with_file_name(name.strip_suffix(".shards").filter(|name| !name.is_empty()).unwrap_or(name));
        let folder = Shard::folder_of(&out);
        script_text(&folder)?;
        Ok(Self { out, folder })
    }

    /// Returns the path of the merged run.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Returns the folder with the shards, the scripts and the logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the file that says what was submitted.
    pub fn record(&self) -> PathBuf {
        self.folder.join("slurm.json")
    }

    /// Returns the script of the array.
    pub fn array_script(&self) -> PathBuf {
        self.folder.join("array.sbatch")
    }

    /// Returns the script of the merge job.
    pub fn merge_script(&self) -> PathBuf {
        self.folder.join("merge.sbatch")
    }

    /// Returns the folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Returns the run folder of a finished shard.
    pub fn shard(&self, shard: usize, shards: usize) -> PathBuf {
        self.folder.join(Shard { index: shard as u32, count: shards as u32 }.folder_name())
    }

    /// Whether a shard is finished.
    pub fn is_finished(&self, shard: usize, shards: usize) -> bool {
        self.shard(shard, shards).join("manifest.json").is_file()
    }
}

/// Returns a path as text for a script.
///
/// # Errors
/// When it is not UTF-8, or has control characters or backslashes. `sbatch` takes a backslash in the path of
/// a log for a switch that turns replacements off.
pub(crate) fn script_text(path: &Path) -> Result<&str> {
    let text = path.to_str().filter(|text| !text.contains(|c: char| c.is_control() || c == '\\'));
    text.ok_or_else(|| Error::Path { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_its_folder_of_shards_have_the_same_layout() {
        let layout = Layout::new(Path::new("/a b/run")).unwrap();
        assert_eq!(layout, Layout::new(Path::new("/a b/run.shards/")).unwrap());
        assert_eq!(layout.out(), Path::new("/a b/run"));
        assert_eq!(layout.shard(3, 8), Path::new("/a b/run.shards/3-of-8"));
        for wrong in ["/", "/a\\b", "/a\nb", "/.."] {
            assert!(matches!(Layout::new(Path::new(wrong)), Err(Error::Path { .. })), "{wrong}");
        }
    }
}
