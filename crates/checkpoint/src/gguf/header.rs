//! The header of a GGUF file: the metadata, and the position of each tensor.
//!
//! Reference: the GGUF specification in ggml's documentation. Versions 2 and 3 have the same structure.

use std::collections::HashMap;

use crate::{Bytes, Coding, codec::i2s::Layout};

use super::{
    cursor::{Cursor, Read},
    damage::Damage,
    types::{self, Context, Size},
    value::{Value, ValueType},
};

pub(super) const MAGIC: [u8; 4] = *b"GGUF";
/// The alignment of tensors, in bytes, of a file that does not record it.
pub(super) const DEFAULT_ALIGNMENT: u64 = 32;
pub(super) const ALIGNMENT: &str = "general.alignment";
/// The largest number of dimensions that tensor libraries store.
const MAX_DIMENSIONS: u32 = 4;
/// The largest number of keys. Published files have fewer than a hundred.
const MAX_KEYS: u64 = 10_000;
/// The largest number of tensors. Published files have a few thousand.
const MAX_TENSORS: u64 = 50_000;

/// A metadata key with its value.
#[derive(Clone, Debug)]
pub struct MetadataEntry {
    /// The key, such as `general.architecture`.
    pub key: String,
    /// The type in which the value is stored.
    pub kind: ValueType,
    /// The value.
    pub value: Value,
}

/// The name, shape, type and position of a tensor.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    pub(super) name: String,
    /// The dimensions, outermost first, which is the reverse of the file's order.
    pub(super) shape: Vec<usize>,
    /// The number of the type.
    pub(super) kind: u32,
    /// The index of the file that holds the tensor, if a model is split.
    pub(super) part: usize,
    /// The offset from the start of the file's tensor data.
    offset: u64,
    pub(super) bytes: Bytes,
}

/// The parsed header.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) entries: Vec<MetadataEntry>,
    keys: HashMap<String, usize>,
    pub(super) tensor_infos: Vec<TensorInfo>,
    names: HashMap<String, usize>,
}

impl Header {
    /// Parses the header and locates every tensor. `first` is the header of the first part of a split model
    /// if this file is a later part.
    pub(super) fn parse(bytes: &Bytes, first: Option<&Header>) -> Read<Header> {
        let mut from = Cursor::new(bytes);
        if from.number::<4>()? != MAGIC {
            return Err(Damage::Magic);
        }
        check_version(from.u32()?)?;
        let (tensors, entries) = (from.u64()?, from.u64()?);
        if tensors > MAX_TENSORS {
            return Err(Damage::TooMany { found: tensors, what: "tensors", most: MAX_TENSORS });
        }
        if entries > MAX_KEYS {
            return Err(Damage::TooMany { found: entries, what: "keys", most: MAX_KEYS });
        }
        let (entries, keys) = read_entries(&mut from, entries)?;
        let (mut tensor_infos, names) = read_tensor_infos(&mut from, tensors, bytes)?;
        let mut header = Header { entries, keys, tensor_infos: Vec::new(), names };
        let alignment = header.alignment()?;
        let start = (from.position() as u64).next_multiple_of(alignment).min(bytes.len() as u64) as usize;
        let context = first.unwrap_or(&header).context();
        locate(&mut tensor_infos, &bytes.part(start..bytes.len()), alignment, context)?;
        header.tensor_infos = tensor_infos;
        Ok(header)
    }

    /// Adds the tensors of a later part of a split model. Returns the name of the first tensor that is in an
    /// earlier part too as an error.
    pub(super) fn join(&mut self, part: Header, number: usize) -> Result<(), String> {
        for info in part.tensor_infos {
            if self.names.insert(info.name.clone(), self.tensor_infos.len()).is_some() {
                return Err(info.name);
            }
            self.tensor_infos.push(TensorInfo { part: number, ..info });
        }
        Ok(())
    }

    /// Returns the value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).map(|at| &self.entries[*at].value)
    }

    /// Returns the position and type of the tensor with this name.
    pub(super) fn tensor_info(&self, name: &str) -> Option<&TensorInfo> {
        self.names.get(name).map(|at| &self.tensor_infos[*at])
    }

    /// Returns the name of the architecture; empty if the key is missing.
    pub(super) fn architecture(&self) -> &str {
        self.get("general.architecture").and_then(Value::as_text).map_or("", String::as_str)
    }

    /// Returns the coding of a tensor, given the layout of I2_S tensors.
    pub(super) fn coding(&self, info: &TensorInfo, layout: Layout) -> Coding {
        types::coding(info.kind, layout, self.context())
    }

    /// Returns the metadata on which the meaning of ambiguous type numbers depends.
    fn context(&self) -> Context<'_> {
        let file_type = self.get("general.file_type").and_then(Value::as_integer).copied();
        Context { architecture: self.architecture(), file_type }
    }

    /// Returns the alignment of the tensors in bytes.
    fn alignment(&self) -> Read<u64> {
        match self.get(ALIGNMENT) {
            None => Ok(DEFAULT_ALIGNMENT),
            Some(Value::Integer(n)) if (1..=1 << 30).contains(n) && n.count_ones() == 1 => Ok(*n as u64),
            Some(other) => Err(Damage::NotAPowerOfTwo { key: ALIGNMENT, value: other.to_string() }),
        }
    }
}

/// Checks the version, and recognises big-endian files by it.
fn check_version(version: u32) -> Read<()> {
    match version {
        2 | 3 => Ok(()),
        // The version is a small number whose bytes are reversed.
        _ if version.swap_bytes() < 16 => Err(Damage::BigEndian),
        other => Err(Damage::Version(other)),
    }
}

/// Reads `count` metadata entries. The count is not trusted: reading ends where the file ends, regardless of
/// the count, and no memory is reserved.
fn read_entries(from: &mut Cursor<'_>, count: u64) -> Read<(Vec<MetadataEntry>, HashMap<String, usize>)> {
    let (mut entries, mut keys) = (Vec::new(), HashMap::new());
    for index in 0..count {
        let key = from.string()?;
        let at_key = |damage| Damage::AtKey { key: key.clone(), reason: Box::new(damage) };
        let (kind, value) = Value::read(from).map_err(at_key)?;
        if keys.insert(key.clone(), index as usize).is_some() {
            return Err(Damage::DuplicateKey { key });
        }
        entries.push(MetadataEntry { key, kind, value });
    }
    Ok((entries, keys))
}

/// Reads `count` tensor entries. Their bytes are located later, by [`locate`].
fn read_tensor_infos(
    from: &mut Cursor<'_>,
    count: u64,
    bytes: &Bytes,
) -> Read<(Vec<TensorInfo>, HashMap<String, usize>)> {
    let (mut infos, mut names) = (Vec::new(), HashMap::new());
    for index in 0..count {
        let name = from.string()?;
        let shape = read_shape(from).map_err(|damage| damage.in_tensor(&name))?;
        let (kind, offset) = (from.u32()?, from.u64()?);
        if names.insert(name.clone(), index as usize).is_some() {
            return Err(Damage::DuplicateTensor.in_tensor(&name));
        }
        infos.push(TensorInfo { name, shape, kind, part: 0, offset, bytes: bytes.part(0..0) });
    }
    Ok((infos, names))
}

/// Reads the dimensions of a tensor.
fn read_shape(from: &mut Cursor<'_>) -> Read<Vec<usize>> {
    let dimensions = from.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(Damage::Dimensions { found: dimensions, most: MAX_DIMENSIONS });
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = from.u64()?;
        match usize::try_from(size) {
            Ok(size) if (1..=isize::MAX as usize).contains(&size) => shape.push(size),
            _ => return Err(Damage::Dimension(size as i64)),
        }
    }
    shape.reverse();
    Ok(shape)
}

/// Finds each tensor's bytes in `data`, and checks that no two tensors share any.
fn locate(infos: &mut [TensorInfo], data: &Bytes, alignment: u64, context: Context<'_>) -> Read<()> {
    let mut order: Vec<usize> = (0..infos.len()).collect();
    order.sort_by_key(|at| infos[*at].offset);
    let starts: Vec<u64> = order.iter().map(|at| infos[*at].offset).collect();
    let (mut previous_end, mut previous) = (0, String::new());
    for (i, at) in order.iter().enumerate() {
        let info = &mut infos[*at];
        let name = info.name.clone();
        let in_this_tensor = |damage: Damage| damage.in_tensor(&name);
        if !info.offset.is_multiple_of(alignment) {
            return Err(in_this_tensor(Damage::Unaligned { offset: info.offset, alignment }));
        }
        if info.offset < previous_end {
            return Err(in_this_tensor(Damage::Shared { other: previous }));
        }
        // A tensor of unknown size is assumed to end where the next one begins.
        let limit = starts.get(i + 1).copied().unwrap_or(u64::MAX).min(data.len() as u64);
        let end = match size(info, context).map_err(in_this_tensor)? {
            Some(size) => info.offset.saturating_add(size),
            None => limit.max(info.offset),
        };
        if end > data.len() as u64 {
            return Err(in_this_tensor(Damage::TooLong { end, has: data.len() }));
        }
        info.bytes = data.part(info.offset as usize..end as usize);
        (previous_end, previous) = (end, name);
    }
    Ok(())
}

/// Returns the size of a tensor in bytes; `None` if its type is unknown.
fn size(info: &TensorInfo, context: Context<'_>) -> Read<Option<u64>> {
    let values = info.shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size as u64));
    let values = values.filter(|values| *values <= isize::MAX as u64);
    let values = values.ok_or(Damage::TooLarge)?;
    let coding = types::coding(info.kind, Layout::X86, context);
    let inner = info.shape.last().copied().unwrap_or(1) as u64;
    match types::size(&coding, inner, values) {
        Size::Bytes(bytes) => Ok(Some(bytes)),
        Size::Unknown => Ok(None),
        Size::Broken(block) => Err(Damage::BrokenBlock { row: inner, coding: coding.name().into(), block }),
    }
}
