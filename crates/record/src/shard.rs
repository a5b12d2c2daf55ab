//! A [`Shard`] is one of several equal parts of a run, as `--shard 3/8` names it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most shards that a run can have.
const MOST: u32 = 1_000_000;

/// One of the parts into which a run is divided. Parts are numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// The number of the part, from 1 to `count`.
    pub index: u32,
    /// The number of parts.
    pub count: u32,
}

/// Why a text does not name a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a shard: {reason}")]
pub struct ShardError {
    text: String,
    reason: String,
}

impl Shard {
    /// Returns the name of the folder of the shard: `3-of-8`.
    pub fn folder_name(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// Returns the folder of the shards of the run at `run`: `RUN.shards`.
    pub fn folder_of(run: &Path) -> PathBuf {
        let mut name = run.file_name().unwrap_or_default().to_owned();
        name.push(".shards");
        run.with_file_name(name)
    }

    /// Returns every shard of a run that has `count` of them.
    pub fn all(count: u32) -> impl Iterator<Item = Shard> {
        (1..=count).map(move |index| Shard { index, count })
    }

    /// Returns the shard, if such a shard can exist.
    ///
    /// # Errors
    /// Fails with a clause that says what to write instead.
    fn checked(self) -> Result<Shard, String> {
        let Shard { index, count } = self;
        match (index, count) {
            (_, 0) => Err("there must be at least 1 shard, as in 1/1".to_owned()),
            (_, count) if count > MOST => Err(format!("there can be at most {MOST} shards")),
            (0, _) => Err(format!("shards are numbered from 1, so write 1/{count} for the first")),
            _ if index > count => {
                Err(format!("there are {count} shards, so write 1/{count} to {count}/{count}"))
            }
            _ => Ok(self),
        }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let numbers = text.split_once('/').and_then(|(index, count)| {
            Some(Shard { index: index.trim().parse().ok()?, count: count.trim().parse().ok()? })
        });
        let shard = numbers.ok_or_else(|| "write two numbers, such as 3/8 for the third of eight".to_owned());
        shard.and_then(Shard::checked).map_err(|reason| ShardError { text: text.to_owned(), reason })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Shard, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

/// What a manifest says about the shard that a run is. Shards belong together if only `shard` differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// The part of the whole run.
    pub shard: Shard,
    /// The number of contexts of the whole run, over all studies.
    pub contexts: usize,
    /// The code that the rows depend on: the source revision, and the hash of the program if the sources had
    /// changes.
    pub code: String,
    /// The class of instruction sets that each model ran with, in the order of the studies.
    pub isa: Vec<String>,
    /// A hash of everything that the rows of the whole run depend on.
    pub fingerprint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_two_numbers() {
        let shard: Shard = "3/8".parse().unwrap();
        assert_eq!((shard, shard.to_string()), (Shard { index: 3, count: 8 }, "3/8".to_owned()));
        assert_eq!(shard.folder_name(), "3-of-8");
        assert_eq!(Shard::all(2).map(String::from).collect::<Vec<_>>(), ["1/2", "2/2"]);
    }

    #[test]
    fn an_impossible_shard_is_refused_with_a_remedy() {
        let cases = [
            ("9/8", "write 1/8 to 8/8"),
            ("0/8", "write 1/8 for the first"),
            ("1/0", "at least 1 shard"),
            ("1/2000000", "at most 1000000"),
            ("3", "such as 3/8"),
            ("-1/8", "such as 3/8"),
            ("1/2/3", "such as 3/8"),
            ("a/b", "such as 3/8"),
        ];
        for (text, remedy) in cases {
            let message = text.parse::<Shard>().unwrap_err().to_string();
            assert!(message.contains(remedy) && message.contains(&format!("'{text}'")), "{message}");
        }
    }
}
