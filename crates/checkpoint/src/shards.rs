//! Reads safetensors files: a single file, or several with an index.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Component, Path},
};

use bitkv_bytes::{Expected, check_values, limit};
use safetensors::{SafeTensors, tensor::Metadata};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::{Bytes, Coding, Error, Result, StoredTensor, json, tensor_names::plain_name};

/// The file of a checkpoint that is not sharded.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The index of a checkpoint that is sharded.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The size of a header, in bytes, above which the file is treated as damaged. The published checkpoints need
/// less than 100 kB, and a parser needs several times the size in memory.
const MAX_HEADER: u64 = 8 << 20;

/// A safetensors file.
#[derive(Clone)]
struct Shard {
    file: String,
    metadata: Metadata,
    /// The bytes after the header.
    data: Bytes,
}

/// All tensors of a folder.
#[derive(Clone)]
pub(crate) struct Shards {
    shards: Vec<Shard>,
    /// The index of the shard that holds a tensor and the name in that shard, by the tensor's plain name.
    by_name: BTreeMap<String, (usize, String)>,
}

impl Shards {
    /// Opens `model.safetensors` in `folder`, or the files that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// Returns an error if a file is missing or not valid, or the index and the files disagree.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        if folder.join(SINGLE).exists() || !index.exists() {
            return Shards::join(vec![Shard::open(&folder.join(SINGLE))?]);
        }
        let (weight_map, name) = (read_index(&index)?, index.display().to_string());
        let mut files: Vec<&String> = weight_map.values().collect();
        files.sort_unstable();
        files.dedup();
        let shards = files.iter().map(|f| Shard::open(&folder.join(f))).collect::<Result<Vec<_>>>()?;
        for (tensor, file) in &weight_map {
            let at = files.binary_search(&file).unwrap_or_default();
            if shards[at].metadata.info(tensor).is_none() {
                let reason = format!("it says that `{tensor}` is in {file}, which does not hold it");
                return Err(Error::Index { file: name, reason });
            }
        }
        Shards::join(shards)
    }

    /// Reads a safetensors file from memory.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Shards::join(vec![Shard::parse("the checkpoint in memory".into(), Bytes::owned(bytes))?])
    }

    /// Joins files whose tensors have different names.
    fn join(shards: Vec<Shard>) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for (i, shard) in shards.iter().enumerate() {
            for name in shard.metadata.offset_keys() {
                let plain = plain_name(&name).into_owned();
                if by_name.insert(plain, (i, name.clone())).is_some() {
                    return Err(Error::DuplicateName { file: shard.file.clone(), name });
                }
            }
        }
        Ok(Shards { shards, by_name })
    }

    /// Returns the plain names of all tensors in file order, without what programs put around a model.
    pub(crate) fn names(&self) -> Vec<String> {
        let stored = self.shards.iter().flat_map(|s| s.metadata.offset_keys());
        stored.map(|name| plain_name(&name).into_owned()).collect()
    }

    /// Returns a note if names were read without a part of them; `None` if all names are plain.
    pub(crate) fn note(&self) -> Option<String> {
        let (plain, (shard, stored)) = self.by_name.iter().find(|(plain, (_, stored))| *plain != stored)?;
        let file = &self.shards[*shard].file;
        Some(format!("{file} holds a model that a program has wrapped: `{stored}` is read as `{plain}`"))
    }

    /// Returns whether there is a tensor with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Returns the tensor with this plain name.
    pub(crate) fn get(&self, name: &str, hint: &'static str) -> Result<StoredTensor> {
        let found = self.by_name.get(name).map(|(at, stored)| (&self.shards[*at], stored));
        let found = found.and_then(|(shard, stored)| shard.metadata.info(stored).map(|info| (shard, info)));
        let Some((shard, info)) = found else {
            return Err(Error::MissingTensor { file: self.file(), tensor: name.into(), hint });
        };
        Ok(StoredTensor {
            file: shard.file.clone(),
            name: name.into(),
            shape: info.shape.clone(),
            coding: Coding::from_dtype(info.dtype),
            bytes: shard.data.part(info.data_offsets.0..info.data_offsets.1),
        })
    }

    /// Returns the name of the file, or of the first one if there are several.
    pub(crate) fn file(&self) -> String {
        self.shards.first().map_or_else(String::new, |s| s.file.clone())
    }

    /// Returns the size of the tensors of all files in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.shards.iter().map(|s| s.data.len() as u64).sum()
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self> {
        Shard::parse(path.display().to_string(), Bytes::map(path, Expected::Safetensors)?)
    }

    /// Reads the header of a file.
    fn parse(file: String, bytes: Bytes) -> Result<Self> {
        let bad = |reason: String| Error::Safetensors { file: file.clone(), reason };
        let length = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
        let length = length.ok_or_else(|| bad("it is shorter than the length of a header".into()))?;
        if length > bytes.len() as u64 - 8 {
            return Err(bad(format!("its header claims {length} bytes and the file has {}", bytes.len())));
        }
        if length > MAX_HEADER {
            return Err(bad(format!("its header has {length} bytes, and at most {MAX_HEADER} are read")));
        }
        check_values(&bytes[8..8 + length as usize])
            .map_err(|reason| bad(format!("in its header, {reason}")))?;
        // This check comes first, because a tensor that appears twice would otherwise cause an error about
        // its offsets.
        if let Some(name) = repeated_name(&bytes[8..8 + length as usize]) {
            return Err(Error::DuplicateName { file, name });
        }
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
        let data = bytes.part(8 + header..bytes.len());
        Ok(Shard { file, metadata, data })
    }
}

/// Reads an index and returns the file name of every tensor.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let file = path.display().to_string();
    let value = json::parse(&json::read_text(path, limit::INDEX)?, &file)?;
    let bad = |reason: String| Error::Index { file: file.clone(), reason };
    let map = value.get("weight_map").and_then(Value::as_object);
    let map = map.filter(|map| !map.is_empty()).ok_or_else(|| bad("it has no `weight_map`".into()))?;
    let entry = |(tensor, name): (&String, &Value)| {
        let name = name.as_str().filter(|name| is_plain_name(name));
        let name = name.ok_or_else(|| bad(format!("the file of `{tensor}` is not a plain file name")))?;
        Ok((tensor.clone(), name.to_string()))
    };
    map.iter().map(entry).collect()
}

/// Returns whether a name is the plain name of a file, so that it cannot lead out of the folder.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// Returns the first key that appears twice at the top level of a JSON object. A parser that returns a map
/// does not notice it.
fn repeated_name(header: &[u8]) -> Option<String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
            let (mut seen, mut repeated) = (HashSet::new(), None);
            while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                if let Some(before) = seen.replace(name) {
                    repeated.get_or_insert(before);
                }
            }
            Ok(repeated)
        }
    }
    serde_json::Deserializer::from_slice(header).deserialize_map(Names).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn refusal(bytes: Vec<u8>) -> String {
        Shards::from_bytes(bytes).err().expect("it is refused").to_string()
    }

    const A: &str = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;

    #[test]
    fn a_whole_file_is_read() {
        let shards = Shards::from_bytes(file(&format!("{{{A}}}"), 8)).unwrap();
        assert_eq!(shards.names(), ["a"]);
        assert_eq!(shards.get("a", "").unwrap().shape, [2]);
    }

    #[test]
    fn every_kind_of_damage_has_its_message() {
        let b = |offsets: &str, shape: &str| {
            format!("{{{A},\"b\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
        };
        for (bytes, part) in [
            (vec![1, 2], "shorter"),
            (u64::MAX.to_le_bytes().to_vec(), "claims"),
            (file(&format!("{{{A}}}"), 7), "not fully covered"),
            (file(&format!("{{{A}}}"), 9), "not fully covered"),
            (file(&format!("{{{A},{A}}}"), 8), "`a` appears twice"),
            (file(&b("[4,12]", "[2]"), 12), "not a usable"),
            (file(&b("[8,16]", "[3]"), 16), "not a usable"),
            (file(&b("[8,16]", "[-2]"), 16), "not a usable"),
            (file(&b("[8,16]", "[4611686018427387904,4]"), 16), "not a usable"),
            (file("{", 0), "not a usable"),
            (file("[]", 0), "not a usable"),
        ] {
            let message = refusal(bytes);
            assert!(message.contains(part) && message.lines().count() == 1, "{message}");
        }
    }

    #[test]
    fn only_plain_file_names_are_accepted_from_an_index() {
        let names = ["a.safetensors", "../a", "/a", "x/a", "..", ""].map(is_plain_name);
        assert_eq!(names, [true, false, false, false, false, false]);
    }
}
