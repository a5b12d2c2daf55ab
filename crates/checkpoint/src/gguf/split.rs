//! Models that are split into several GGUF files, as `llama-gguf-split` writes them.
//!
//! The parts are named `NAME-00001-of-00002.gguf`, and each has the keys `split.no` (its number, counted from
//! 0), `split.count` and `split.tensors.count`. Only the first part has the other metadata.

use std::path::{Path, PathBuf};

use bitkv_bytes::{Expected, part_name, part_names};

use crate::{Bytes, Error, Result};

use super::{
    header::{ALIGNMENT, Header},
    keys::Keys,
};

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";
/// The largest number of parts, whose numbers have five digits.
const MOST: i128 = 99_999;
/// The most missing parts that a message lists.
const SHOWN: usize = 4;

/// A part of a split model.
struct Part {
    /// The number of the part, counted from 0.
    number: usize,
    /// The number of parts.
    count: usize,
    /// The number of tensors in all parts; `None` if the file does not record it.
    tensors: Option<usize>,
}

impl Part {
    /// Reads the keys of a file; `None` if it is a whole model. A file that was merged from parts has a count
    /// of 0.
    fn read(keys: &Keys<'_>) -> Result<Option<Part>> {
        let Some(found) = keys.get(COUNT) else { return Ok(None) };
        let count = match found.as_integer() {
            Some(0 | 1) => return Ok(None),
            Some(count @ 2..=MOST) => *count as usize,
            _ => return Err(keys.bad(COUNT, found, format!("but must be an integer from 0 to {MOST}"))),
        };
        let found = keys.get(NUMBER).ok_or_else(|| keys.missing(NUMBER))?;
        let number = found.as_integer().and_then(|n| usize::try_from(*n).ok()).filter(|n| *n < count);
        let range = format!("but must be an integer from 0 to {}, because `{COUNT}` is {count}", count - 1);
        let number = number.ok_or_else(|| keys.bad(NUMBER, found, range))?;
        Ok(Some(Part { number, count, tensors: keys.size(TENSORS, i32::MAX as u64)? }))
    }
}

/// Returns the paths of all parts of the model to which a GGUF file belongs, in their order; only `path` if
/// the file is a whole model.
///
/// # Errors
/// Returns an error if the file is not valid, or the parts cannot be found.
pub fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let file = path.display().to_string();
    let header = parse(&file, &Bytes::map(path, Expected::Gguf)?, None)?;
    match Part::read(&Keys { file: &file, header: &header })? {
        Some(part) => siblings(path, &part),
        None => Ok(vec![path.into()]),
    }
}

/// Returns the files of a model and their headers, joined into one.
pub(super) fn open(path: &Path) -> Result<(Vec<String>, Header)> {
    let paths = parts(path)?;
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut whole = parse(&names[0], &Bytes::map(&paths[0], Expected::Gguf)?, None)?;
    if paths.len() == 1 {
        return Ok((names, whole));
    }
    let announced = check(&names[0], &whole, 0, paths.len())?;
    for (number, (path, file)) in paths.iter().zip(&names).enumerate().skip(1) {
        let part = parse(file, &Bytes::map(path, Expected::Gguf)?, Some(&whole))?;
        if check(file, &part, number, paths.len())? != announced {
            return Err(other_model(file, format!("its `{TENSORS}` differs from that of {}", names[0])));
        }
        check_metadata(file, &part, &names[0], &whole)?;
        whole.join(part, number).map_err(|tensor| {
            other_model(file, format!("the tensor `{tensor}` is in an earlier part too"))
        })?;
    }
    let found = whole.tensor_infos.len();
    match announced.filter(|announced| *announced != found) {
        Some(announced) => Err(other_model(
            &names[0],
            format!("`{TENSORS}` is {announced}, but the {} parts have {found} tensors", names.len()),
        )),
        None => Ok((names, whole)),
    }
}

/// Checks that a file in memory is a whole model.
pub(super) fn check_whole(file: &str, header: &Header) -> Result<()> {
    let Some(part) = Part::read(&Keys { file, header })? else { return Ok(()) };
    Err(Error::Gguf {
        file: file.into(),
        reason: format!(
            "it is part {} of {} of a split model: give the path of a part in the folder that holds all of them",
            part.number + 1,
            part.count
        ),
    })
}

fn parse(file: &str, bytes: &Bytes, first: Option<&Header>) -> Result<Header> {
    Header::parse(bytes, first)
        .map_err(|damage| Error::Gguf { file: file.into(), reason: damage.to_string() })
}

/// Returns the paths of all parts, given one of them.
fn siblings(path: &Path, part: &Part) -> Result<Vec<PathBuf>> {
    let (number, count) = (part.number + 1, part.count);
    let bad = |reason: String| Error::Gguf { file: path.display().to_string(), reason };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some((stem, ..)) = part_name(&name).filter(|(_, n, all)| (*n, *all) == (number, count)) else {
        return Err(bad(format!(
            "it is part {number} of {count} of a split model, but its name does not say so: let the names of the \
             parts end in -{number:05}-of-{count:05}.gguf and so on"
        )));
    };
    let paths: Vec<PathBuf> = part_names(stem, count).map(|name| path.with_file_name(name)).collect();
    let missing: Vec<String> = paths
        .iter()
        .filter(|path| !path.exists())
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    if missing.is_empty() {
        return Ok(paths);
    }
    let more = missing.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = missing[..missing.len().min(SHOWN)].join(", ");
    Err(bad(format!(
        "it is part {number} of {count} of a split model, and its folder lacks {shown}{more}: put all parts into \
         one folder"
    )))
}

/// Checks that a file is the part that its name says. Returns the number of tensors in all parts.
fn check(file: &str, header: &Header, number: usize, count: usize) -> Result<Option<usize>> {
    match Part::read(&Keys { file, header })? {
        Some(part) if (part.number, part.count) == (number, count) => Ok(part.tensors),
        Some(part) => {
            Err(other_model(file, format!("it says that it is part {} of {}", part.number + 1, part.count)))
        }
        None => Err(other_model(file, format!("it has no `{COUNT}`"))),
    }
}

/// Checks that a later part has no metadata that the first part lacks or has with another value.
fn check_metadata(file: &str, part: &Header, first_file: &str, first: &Header) -> Result<()> {
    let own = [NUMBER, COUNT, TENSORS, ALIGNMENT];
    let differs = |key: &str, value: &super::Value| {
        first.get(key).is_none_or(|other| other.to_string() != value.to_string())
    };
    let entries = part.entries.iter().filter(|entry| !own.contains(&entry.key.as_str()));
    match entries.into_iter().find(|entry| differs(&entry.key, &entry.value)) {
        Some(entry) => Err(other_model(file, format!("its `{}` is not that of {first_file}", entry.key))),
        None => Ok(()),
    }
}

/// Returns the error for a part that does not belong to the others.
fn other_model(file: &str, reason: String) -> Error {
    Error::Gguf {
        file: file.into(),
        reason: format!("{reason}, so the parts belong to different models: download all parts again"),
    }
}
