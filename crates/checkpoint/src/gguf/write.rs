//! Writes a GGUF container, one tensor after another.

use std::{
    io::{self, Write},
    path::Path,
};

use bitkv_bytes::{AtomicFile, Existing};

use crate::{Coding, Error, Result};

use super::{
    header::{DEFAULT_ALIGNMENT, MAGIC},
    types,
    value::ValueType,
};

/// The version of the format that is written.
const VERSION: u32 = 3;

/// A metadata value to write.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are the types")]
pub enum Field<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'a str),
    Texts(&'a [String]),
    F32s(&'a [f32]),
    I32s(&'a [i32]),
}

/// The header entry of a tensor that is going to be written.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    /// The name in the file.
    pub name: String,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The coding, which must have a number in files.
    pub coding: Coding,
    /// The size in bytes.
    pub bytes: u64,
}

/// A file whose header is written and to which tensors are appended. It gets its name when
/// [`GgufWriter::finish`] is called.
pub struct GgufWriter {
    file: AtomicFile,
    /// The sizes in bytes of the tensors that are not complete, in reverse order of the file.
    lengths: Vec<u64>,
    /// The number of bytes of the current tensor that are in the file.
    written: u64,
}

impl GgufWriter {
    /// Creates a file with this metadata, and with the header entries of these tensors in this order.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    ///
    /// # Panics
    /// Panics if a coding has no number in files.
    pub fn create(path: &Path, fields: &[(String, Field<'_>)], tensors: &[TensorSpec]) -> Result<Self> {
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((fields.len() as u64).to_le_bytes());
        for (key, field) in fields {
            header.extend(text_bytes(key));
            put_field(&mut header, *field);
        }
        let mut offset = 0;
        for tensor in tensors {
            put_tensor(&mut header, tensor, offset);
            offset += tensor.bytes.next_multiple_of(DEFAULT_ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        let mut file = AtomicFile::create(path, Existing::Keep).map_err(Error::writing(path))?;
        file.write_all(&header).map_err(Error::writing(path))?;
        let lengths = tensors.iter().rev().map(|tensor| tensor.bytes).collect();
        Ok(GgufWriter { file, lengths, written: 0 })
    }

    /// Appends bytes to the current tensor. When it is complete, the next tensor becomes the current one.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    ///
    /// # Panics
    /// Panics if the tensor becomes longer than its entry in the header says.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let length = *self.lengths.last().expect("a tensor that is in the header");
        self.written += bytes.len() as u64;
        assert!(self.written <= length, "no more bytes than the header says");
        let complete = self.written == length;
        let file = &mut self.file;
        let put = |file: &mut AtomicFile| -> io::Result<()> {
            file.write_all(bytes)?;
            let padding = length.next_multiple_of(DEFAULT_ALIGNMENT) - length;
            if complete { file.write_all(&vec![0; padding as usize]) } else { Ok(()) }
        };
        put(file).map_err(|source| Error::writing(file.path())(source))?;
        if complete {
            self.lengths.pop();
            self.written = 0;
        }
        Ok(())
    }

    /// Moves the complete file to its path.
    ///
    /// # Errors
    /// Returns an error if the file cannot be moved.
    ///
    /// # Panics
    /// Panics if a tensor is incomplete.
    pub fn finish(self) -> Result<()> {
        assert!(self.lengths.is_empty(), "every tensor in the header is written");
        let path = self.file.path().to_owned();
        self.file.commit().map_err(Error::writing(&path))
    }
}

/// Returns the bytes of a text, preceded by its length as GGUF files store it.
fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// Appends the type and the bytes of a value.
fn put_field(to: &mut Vec<u8>, field: Field<'_>) {
    // The three values are the number of items if the field is an array, the type, and the bytes of the value
    // or of the items.
    let (count, kind, bytes) = match field {
        Field::U32(n) => (None, ValueType::U32, n.to_le_bytes().to_vec()),
        Field::F32(x) => (None, ValueType::F32, x.to_le_bytes().to_vec()),
        Field::Bool(flag) => (None, ValueType::Bool, vec![flag.into()]),
        Field::Text(text) => (None, ValueType::String, text_bytes(text)),
        Field::Texts(texts) => {
            (Some(texts.len()), ValueType::String, texts.iter().flat_map(|text| text_bytes(text)).collect())
        }
        Field::F32s(values) => (
            Some(values.len()),
            ValueType::F32,
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ),
        Field::I32s(values) => (
            Some(values.len()),
            ValueType::I32,
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ),
    };
    if count.is_some() {
        to.extend(ValueType::Array.id().to_le_bytes());
    }
    to.extend(kind.id().to_le_bytes());
    to.extend(count.into_iter().flat_map(|count| (count as u64).to_le_bytes()));
    to.extend(bytes);
}

/// Appends the header entry of a tensor.
fn put_tensor(to: &mut Vec<u8>, tensor: &TensorSpec, offset: u64) {
    to.extend(text_bytes(&tensor.name));
    to.extend((tensor.shape.len() as u32).to_le_bytes());
    tensor.shape.iter().rev().for_each(|size| to.extend((*size as u64).to_le_bytes()));
    to.extend(types::id(&tensor.coding).expect("a coding that files have a number for").to_le_bytes());
    to.extend(offset.to_le_bytes());
}
