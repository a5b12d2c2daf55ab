//! Writes safetensors files tensor by tensor, so that at most a part of one tensor is in memory.

use std::{
    io::{self, Write},
    path::Path,
};

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use bitkv_bytes::{AtomicFile, Existing, disk};
use bitkv_progress::{Progress, Silent, Work};

use crate::{Config, Error, FloatType, Result};

/// A function that writes the values of a tensor, in order.
type Values<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// A tensor that is to be written.
pub(crate) struct TensorEntry<'a> {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values<'a>,
}

impl TensorEntry<'_> {
    /// Returns the size in bytes.
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes f32 tensors, each given by its name, its shape and its values. The file is written under a
/// temporary name and then renamed. `metadata` describes the tensors.
///
/// # Errors
/// Returns an error if the file cannot be written, or if it exists and is kept. No new file is left in that
/// case.
///
/// # Panics
/// Panics if values do not fill their shape.
pub fn write_f32_tensors(
    path: &Path,
    existing: Existing,
    metadata: &[(&str, &str)],
    tensors: &[(String, Vec<usize>, &[f32])],
) -> Result<()> {
    let mut entries = Vec::new();
    for (name, shape, values) in tensors {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "the values of {name} fill {shape:?}");
        let write = move |to: &mut dyn Write| FloatType::F32.write(values, to);
        let (name, shape) = (name.clone(), shape.clone());
        entries.push(TensorEntry { name, dtype: Dtype::F32, shape, values: Box::new(write) });
    }
    write((path, existing), metadata, entries, &Silent).map(drop)
}

/// The files of a model's folder, in the order in which they are written. The configuration is last, because
/// a folder without it is not a model yet.
const FILES: [&str; 2] = ["model.safetensors", "config.json"];

/// Checks that a folder has neither of these files.
///
/// # Errors
/// Returns an error if it has one of them.
pub(crate) fn refuse_model(folder: &Path) -> Result<()> {
    let there = FILES.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    there.map_or(Ok(()), |path| Err(Error::Exists { path }))
}

/// Writes a model's folder, which is created if it does not exist. Each file is written completely or not at
/// all. Returns the size of the tensors in bytes.
pub(crate) fn write_model(
    folder: &Path,
    config: &Config,
    entries: Vec<TensorEntry<'_>>,
    progress: &dyn Progress,
) -> Result<u64> {
    disk::create_folders(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
    let [weights, configuration] = FILES.map(|name| folder.join(name));
    let bytes = write((&weights, Existing::Replace), &[], entries, progress)?;
    bitkv_bytes::write(&configuration, config.to_json().as_bytes())
        .map_err(Error::writing(&configuration))?;
    Ok(bytes)
}

/// Writes a file completely or not at all. Returns the size of the tensors in bytes.
fn write(
    (path, existing): (&Path, Existing),
    metadata: &[(&str, &str)],
    mut entries: Vec<TensorEntry<'_>>,
    progress: &dyn Progress,
) -> Result<u64> {
    // Tensors with the widest types come first, so that every tensor is aligned for its type. Tensors with
    // types of the same width are sorted by name.
    entries.sort_by(|a, b| b.dtype.bitsize().cmp(&a.dtype.bitsize()).then_with(|| a.name.cmp(&b.name)));
    let header = header(metadata, &entries);
    let total = entries.iter().map(|e| e.bytes() as u64).sum::<u64>();
    bitkv_bytes::check_disk(path, "the file", total).map_err(|error| Error::writing(path)(error.into()))?;
    let mut file = AtomicFile::create(path, existing).map_err(Error::writing(path))?;
    let (work, mut done) = (Work::bytes(progress, "writing", total, 0), 0);
    let mut put = || -> io::Result<()> {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for entry in &entries {
            (entry.values)(&mut file)?;
            done += entry.bytes() as u64;
            work.reach(done);
        }
        Ok(())
    };
    put().and_then(|()| file.commit()).map_err(Error::writing(path))?;
    work.finish();
    Ok(total)
}

/// Returns the JSON header of a file.
fn header(metadata: &[(&str, &str)], entries: &[TensorEntry<'_>]) -> String {
    // transformers refuses files without this entry.
    let mut about = Map::from_iter([("format".to_string(), "pt".into())]);
    about.extend(metadata.iter().map(|(key, value)| (key.to_string(), (*value).into())));
    let mut map = Map::from_iter([("__metadata__".to_string(), Value::Object(about))]);
    let mut at = 0;
    for entry in entries {
        let end = at + entry.bytes();
        let dtype = Value::String(format!("{:?}", entry.dtype));
        map.insert(
            entry.name.clone(),
            json!({"dtype": dtype, "shape": entry.shape, "data_offsets": [at, end]}),
        );
        at = end;
    }
    let mut text = Value::Object(map).to_string();
    // The format requires that the data starts at a multiple of 8.
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    text
}
