//! [`Missing`] lists the shards without which a run is incomplete, and the commands that measure them.

use bitkv_record::{Shard, free_name, is_unfinished};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::quoted;

/// The shards that a run lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Each missing shard, in order.
    pub shards: Vec<MissingShard>,
    /// The number of contexts of the whole run that have no rows.
    pub contexts: usize,
    /// The number of contexts of the whole run.
    pub all_contexts: usize,
}

/// A shard that a run lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingShard {
    /// The shard.
    pub shard: Shard,
    /// The folder where it is expected.
    pub folder: PathBuf,
    /// Whether the shard was begun. Its command then measures only what is left.
    pub unfinished: bool,
    /// Whether something is in its folder that is not a shard. The command then writes another folder.
    pub damaged: bool,
    /// The command that measures it.
    pub command: String,
}

impl MissingShard {
    /// Describes a missing shard, which is expected beside its finished sibling in `beside`. `command` is the
    /// command line of that sibling.
    pub(crate) fn new(shard: Shard, beside: &Path, command: &[String]) -> MissingShard {
        let folder = sibling(beside, &shard.folder_name());
        let damaged = folder.exists();
        let out = if damaged { unused(&folder) } else { folder.clone() };
        let command = command_for(command, shard, &out, None);
        MissingShard { shard, unfinished: is_unfinished(&folder), damaged, folder, command }
    }

    /// Returns whether the shard was begun, in one word.
    pub fn state(&self) -> &'static str {
        match (self.unfinished, self.damaged) {
            (true, _) => "unfinished",
            (_, true) => "damaged",
            _ => "absent",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { shards, contexts, all_contexts } = self;
        let Some(first) = shards.first() else { return write!(f, "no shard is missing") };
        let (count, state) = (first.shard.count, first.state());
        write!(
            f,
            "{} of {count} shards are missing, with {contexts} of {all_contexts} contexts; the first is {}, which is \
             {state}: measure it with `{}`",
            shards.len(),
            first.shard,
            first.command
        )
    }
}

/// Returns the path of a folder beside another one.
pub(crate) fn sibling(folder: &Path, name: &str) -> PathBuf {
    // The folder may be given as `.`, which has no name to replace.
    let whole = if folder.file_name().is_none() { folder.canonicalize().ok() } else { None };
    whole.as_deref().unwrap_or(folder).with_file_name(name)
}

/// Returns the path, or the path with a number that makes it new.
pub(crate) fn unused(path: &Path) -> PathBuf {
    free_name(path).unwrap_or_else(|_| path.to_owned())
}

/// Options of a command that concern one shard only. Those with `true` are followed by a value.
const OWN_OPTIONS: [(&str, bool); 5] =
    [("--shard", true), ("--out", true), ("--reuse", true), ("--if-needed", false), ("--json", false)];

/// Returns the command line that measures a shard, made from the command line of another shard. `reuse` is an
/// earlier folder of the same shard whose good rows are kept.
pub(crate) fn command_for(other: &[String], shard: Shard, out: &Path, reuse: Option<&Path>) -> String {
    let mut words = Vec::new();
    let mut arguments = other.iter();
    while let Some(argument) = arguments.next() {
        let name = argument.split_once('=').map_or(argument.as_str(), |(name, _)| name);
        match OWN_OPTIONS.iter().find(|(own, _)| *own == name) {
            Some((_, true)) if name == argument => drop(arguments.next()),
            Some(_) => {}
            None => words.push(argument.clone()),
        }
    }
    words.extend(["--shard".to_owned(), shard.to_string()]);
    if let Some(reuse) = reuse {
        words.extend(["--reuse".to_owned(), reuse.display().to_string()]);
    }
    words.extend(["--out".to_owned(), out.display().to_string()]);
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_another_shard_keeps_all_other_options() {
        let other = [
            "bitkv",
            "run",
            "my runs/a.toml",
            "--shard=1/8",
            "--json",
            "--snapshots",
            "/s",
            "--out",
            "x/1-of-8",
            "--only",
            "a'b",
        ];
        let other = other.map(String::from);
        let shard = Shard { index: 3, count: 8 };
        assert_eq!(
            command_for(&other, shard, Path::new("x/3-of-8"), None),
            r"bitkv run 'my runs/a.toml' --snapshots /s --only 'a'\''b' --shard 3/8 --out x/3-of-8"
        );
        assert_eq!(
            command_for(&other[..3], shard, Path::new("y"), Some(Path::new("x/3-of-8"))),
            "bitkv run 'my runs/a.toml' --shard 3/8 --reuse x/3-of-8 --out y"
        );
    }
}
