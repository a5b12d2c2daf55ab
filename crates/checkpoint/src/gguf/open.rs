//! Opens a GGUF file.

use std::path::Path;

use crate::{Bytes, Config, Error, Result, codec::i2s::Layout};

use super::{config, file::Gguf, header::Header, layout};

/// Settings for what a GGUF file does not record.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The byte layout of I2_S tensors; found by plausibility when it is not given.
    pub i2s_layout: Option<Layout>,
}

impl Gguf {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self> {
        Gguf::parse(path.display().to_string(), Bytes::map(path)?, options)
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>, options: &Options) -> Result<Self> {
        Gguf::parse("the GGUF file in memory".into(), Bytes::owned(bytes), options)
    }

    fn parse(file: String, bytes: Bytes, options: &Options) -> Result<Self> {
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
