//! Opens a GGUF file.

use std::path::Path;

use crate::{Bytes, Config, Error, Result, codec::i2s::Layout};

use super::{config, file::Gguf, header::Header, layout};

/// Settings for what a GGUF file does not record.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The byte layout of I2_S tensors. If it is `None`, the most plausible one is chosen.
    pub i2s_layout: Option<Layout>,
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

    /// Returns the configuration that the metadata describes.
    pub(crate) fn config(&self) -> Result<Config> {
        config::read(self)
    }
}
