//! Opens a GGUF file.

use std::path::Path;

use crate::{Bytes, Config, Error, Result, codec::i2s::Layout, remarks::Remarks};

use super::{config, file::Gguf, header::Header, layout, split};

/// Settings for what the files of a checkpoint do not record.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The byte layout of I2_S tensors. If it is `None`, the most plausible one is chosen.
    pub i2s_layout: Option<Layout>,
    /// Whether the float weights of a folder without a `quantization_config`, or of a GGUF file of the llama
    /// architecture, are the masters of a BitNet.
    pub as_bitnet: bool,
}

impl Gguf {
    /// Opens and memory-maps a file, or all parts of a split model if the file is one of them.
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let (files, header) = split::open(path)?;
        Ok(Gguf::new(files, header, options))
    }

    /// Reads a file from memory.
    pub(crate) fn from_bytes(bytes: Vec<u8>, options: &ReadOptions) -> Result<Self> {
        let file = String::from("the GGUF file in memory");
        match Header::parse(&Bytes::owned(bytes), None) {
            Ok(header) => {
                split::check_whole(&file, &header)?;
                Ok(Gguf::new(vec![file], header, options))
            }
            Err(damage) => Err(Error::Gguf { file, reason: damage.to_string() }),
        }
    }

    fn new(files: Vec<String>, header: Header, options: &ReadOptions) -> Gguf {
        let mut gguf = Gguf { files, header, layout: None, as_bitnet: options.as_bitnet };
        gguf.layout = layout::choose(&gguf, options.i2s_layout);
        gguf
    }

    /// Returns the configuration that the metadata describes, and what a reader should know about it.
    pub(crate) fn config(&self) -> Result<(Config, Remarks)> {
        config::read(self)
    }
}
