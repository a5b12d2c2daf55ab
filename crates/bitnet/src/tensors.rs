//! A safetensors file, memory-mapped or in memory.

use std::{fs::File, path::Path};

use bitkv_kernels::memory::{MappedFile, map_file};
use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use crate::{Error, Result};

enum Bytes {
    Mapped(MappedFile),
    Owned(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// A tensor's bytes with its shape and type.
pub(crate) struct Raw<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) dtype: Dtype,
    pub(crate) data: &'a [u8],
}

pub(crate) struct TensorFile {
    pub(crate) file: String,
    bytes: Bytes,
    metadata: Metadata,
    /// Where the tensors' data starts.
    start: usize,
}

impl TensorFile {
    /// Maps a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let read = |source| Error::Read { path: path.into(), source };
        let map = map_file(&File::open(path).map_err(read)?).map_err(read)?;
        TensorFile::parse(path.display().to_string(), Bytes::Mapped(map))
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        TensorFile::parse("the checkpoint in memory".into(), Bytes::Owned(bytes))
    }

    fn parse(file: String, bytes: Bytes) -> Result<Self> {
        let bad = |e: safetensors::SafeTensorError| Error::Safetensors {
            file: file.clone(),
            reason: e.to_string(),
        };
        // Checks that the data is complete, which reading the header alone does not.
        SafeTensors::deserialize(&bytes).map_err(bad)?;
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(bad)?;
        Ok(TensorFile { file, bytes, metadata, start: 8 + header })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    pub(crate) fn raw(&self, name: &str, hint: &'static str) -> Result<Raw<'_>> {
        let info = self.metadata.info(name).ok_or_else(|| Error::MissingTensor {
            file: self.file.clone(),
            tensor: name.into(),
            hint,
        })?;
        let data = &self.bytes[self.start + info.data_offsets.0..self.start + info.data_offsets.1];
        Ok(Raw { shape: &info.shape, dtype: info.dtype, data })
    }

    /// A float tensor of this shape in the type it is stored in; every value is finite.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let raw = self.raw(name, "")?;
        self.check_shape(name, raw.shape, shape)?;
        let dtype = match raw.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(self.type_error(name, other, "F32, F16 or BF16")),
        };
        let tensor = Tensor::from_raw_buffer(raw.data, dtype, shape, &Device::Cpu)?;
        // A row at a time, so that checking an embedding does not double it.
        let row = shape.last().copied().unwrap_or(1);
        let rows = tensor.reshape(((), row))?;
        for i in 0..rows.dim(0)? {
            let values: Vec<f32> = rows.get(i)?.to_dtype(DType::F32)?.to_vec1()?;
            if let Some(j) = values.iter().position(|v| !v.is_finite()) {
                let (file, tensor) = (self.file.clone(), name.into());
                return Err(Error::NotFinite { file, tensor, index: i * row + j, value: values[j] });
            }
        }
        Ok(tensor)
    }

    /// [`TensorFile::floats`] as f32 values.
    pub(crate) fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.floats(name, shape)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }

    pub(crate) fn check_shape(&self, name: &str, found: &[usize], expected: &[usize]) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        let (file, tensor) = (self.file.clone(), name.into());
        Err(Error::TensorShape { file, tensor, found: found.into(), expected: expected.into() })
    }

    pub(crate) fn type_error(&self, name: &str, found: Dtype, expected: &'static str) -> Error {
        Error::TensorType {
            file: self.file.clone(),
            tensor: name.into(),
            found: format!("{found:?}"),
            expected,
        }
    }
}
