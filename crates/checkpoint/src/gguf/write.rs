//! Writing the container, one tensor after another.

use std::{
    io::{self, Write},
    path::Path,
};

use bitkv_bytes::AtomicFile;

use crate::{Coding, Error, Result};

use super::{
    header::{DEFAULT_ALIGNMENT, MAGIC},
    types,
    value::ValueType,
};

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

/// A tensor that is going to be written.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Its name in the file.
    pub name: String,
    /// Outermost first.
    pub shape: Vec<usize>,
    /// One that files have a number for.
    pub coding: Coding,
    /// Length in bytes.
    pub bytes: u64,
}

/// A file being written: everything but the tensors' values is in it. It appears when it is finished.
pub struct GgufWriter {
    file: AtomicFile,
    /// Lengths of the tensors not yet written, last first.
    lengths: Vec<u64>,
    /// Bytes of the present tensor that are in the file.
    written: u64,
}

impl GgufWriter {
    /// Begins a file with this metadata, and these tensors in this order.
    ///
    /// # Errors
    /// When the file cannot be written.
    ///
    /// # Panics
    /// When a coding has no number in files.
    pub fn create(path: &Path, fields: &[(String, Field<'_>)], tensors: &[Announced]) -> Result<Self> {
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
        let mut file = AtomicFile::create(path).map_err(Error::writing(path))?;
        file.write_all(&header).map_err(Error::writing(path))?;
        let lengths = tensors.iter().rev().map(|tensor| tensor.bytes).collect();
        Ok(GgufWriter { file, lengths, written: 0 })
    }

    /// Appends to the present tensor's values; when they are complete, the next tensor's turn has come.
    ///
    /// # Errors
    /// When the file cannot be written.
    ///
    /// # Panics
    /// When there are more than were announced.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let length = *self.lengths.last().expect("a tensor that was announced");
        self.written += bytes.len() as u64;
        assert!(self.written <= length, "no more bytes than were announced");
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

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the system does not allow it.
    ///
    /// # Panics
    /// When a tensor is missing.
    pub fn finish(self) -> Result<()> {
        assert!(self.lengths.is_empty(), "every announced tensor is written");
        let path = self.file.path().to_owned();
        self.file.commit().map_err(Error::writing(&path))
    }
}

/// A length and as many bytes.
fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn put_field(to: &mut Vec<u8>, field: Field<'_>) {
    // An array's number of items, the type, and the value or the items.
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

fn put_tensor(to: &mut Vec<u8>, tensor: &Announced, offset: u64) {
    to.extend(text_bytes(&tensor.name));
    to.extend((tensor.shape.len() as u32).to_le_bytes());
    tensor.shape.iter().rev().for_each(|size| to.extend((*size as u64).to_le_bytes()));
    to.extend(types::id(&tensor.coding).expect("a coding that files have a number for").to_le_bytes());
    to.extend(offset.to_le_bytes());
}
