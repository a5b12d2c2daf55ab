//! Opens a GGUF file.

use std::path::Path;

use crate::{Bytes, Config, Error, Result, codec::i2s::Layout, remarks::Remarks};

use super::{config, file::Gguf, header::Header, layout};

/// Settings for what the files of a checkpoint do not record.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The byte layout of I2_S tensors. If it is `None`, the most plausible one is chosen.
    pub i2s_layout: Option<Layout>,
    /// Whether the float weights of a folder without a `quantization_config` are the masters of a BitNet.
    pub as_bitnet: bool,
}

impl Gguf {
    /// Opens and memory-maps a file.
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        Gguf::parse(path.display().to_string(), Bytes::map(path)?, options)
    }

    /// Reads a file from memory.
    pub(crate) fn from_bytes(bytes: Vec<u8>, options: &ReadOptions) -> Result<Self> {
        Gguf::parse("the GGUF file in memory".into(), Bytes::owned(bytes), options)
    }

    fn parse(file: String, bytes: Bytes, options: &ReadOptions) -> Result<Self> {
        match Header::parse(&bytes) {
            Ok(header) => {
                let mut gguf = Gguf { file, header, layout: None };
                gguf.layout = layout::choose(&gguf, options.i2s_layout);
                Ok(gguf)
            }
            Err(damage) => Err(Error::Gguf { file, reason: damage.to_string() }),
        }
    }

    /// Returns the configuration that the metadata describes, and what a reader should know about it.
    pub(crate) fn config(&self) -> Result<(Config, Remarks)> {
        config::read(self)
    }
}
