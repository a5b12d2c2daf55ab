//! An open GGUF file: its metadata, its tensors and its vocabulary.

use crate::{Coding, Error, Result, StoredTensor, codec::i2s::Layout};

use super::{
    header::{Header, MetadataEntry, TensorInfo},
    keys::Keys,
    layout_choice::LayoutChoice,
    names, vocabulary,
    vocabulary::Vocabulary,
};

/// An open GGUF file.
#[derive(Clone)]
pub struct Gguf {
    /// The file, or the parts of a split model.
    pub(super) files: Vec<String>,
    pub(super) header: Header,
    pub(super) layout: Option<LayoutChoice>,
    /// Whether the caller says that float weights are the masters of a BitNet.
    pub(super) as_bitnet: bool,
}

impl Gguf {
    /// Returns whether the caller says that float weights are the masters of a BitNet.
    pub(crate) fn is_read_as_bitnet(&self) -> bool {
        self.as_bitnet
    }

    /// Returns the name of the file, or of the first part if the model is split.
    pub fn file(&self) -> &str {
        &self.files[0]
    }

    /// Returns the names of all files: one, or the parts of a split model.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Returns the keys and values in file order.
    pub fn metadata(&self) -> &[MetadataEntry] {
        &self.header.entries
    }

    /// Returns the layout of the I2_S tensors; `None` if there are no such tensors.
    pub fn i2s_layout(&self) -> Option<&LayoutChoice> {
        self.layout.as_ref()
    }

    /// Returns whether the file holds a tokenizer.
    pub fn has_vocabulary(&self) -> bool {
        self.metadata().iter().any(|entry| entry.key == "tokenizer.ggml.tokens")
    }

    /// Returns the tokenizer's vocabulary.
    ///
    /// # Errors
    /// Returns an error if the file has no vocabulary, or it is damaged.
    pub fn vocabulary(&self) -> Result<Vocabulary> {
        vocabulary::read(&self.keys())
    }

    /// Returns the size of all tensors in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.header.tensor_infos.iter().map(|info| info.bytes.len() as u64).sum()
    }

    /// Returns all tensors, with the names that they have in the file.
    pub(crate) fn tensors(&self) -> Result<Vec<StoredTensor>> {
        Ok(self.header.tensor_infos.iter().map(|info| self.stored(info)).collect())
    }

    /// Returns the names of all tensors in file order.
    pub(crate) fn tensor_names(&self) -> Vec<String> {
        self.header.tensor_infos.iter().map(|info| info.name.clone()).collect()
    }

    /// Returns the name of the architecture; empty if the key is missing.
    pub(crate) fn architecture_name(&self) -> &str {
        self.architecture()
    }

    /// Returns whether there is a tensor with this Hugging Face name.
    pub(crate) fn has(&self, name: &str) -> bool {
        names::to_gguf(name).is_some_and(|name| self.tensor_info(&name).is_some())
    }

    /// Returns the tensor with this Hugging Face name.
    pub(crate) fn get(&self, name: &str, hint: &'static str) -> Result<StoredTensor> {
        let name = names::to_gguf(name).unwrap_or_else(|| name.into());
        let info = self.tensor_info(&name).ok_or_else(|| {
            self.bad(format!(
                "it lacks the tensor `{name}`{hint}, so it is incomplete: download or convert it again"
            ))
        })?;
        Ok(self.stored(info))
    }

    /// Returns the positions and types of all tensors.
    pub(super) fn tensor_infos(&self) -> &[TensorInfo] {
        &self.header.tensor_infos
    }

    /// Returns the position and type of the tensor with this name.
    pub(super) fn tensor_info(&self, name: &str) -> Option<&TensorInfo> {
        self.header.tensor_info(name)
    }

    /// Returns a tensor with its bytes.
    pub(super) fn stored(&self, info: &TensorInfo) -> StoredTensor {
        StoredTensor {
            file: self.files[info.part].clone(),
            name: info.name.clone(),
            shape: info.shape.clone(),
            coding: self.coding(info),
            bytes: info.bytes.clone(),
        }
    }

    /// Returns the coding of a tensor.
    pub(super) fn coding(&self, info: &TensorInfo) -> Coding {
        self.header.coding(info, self.layout.as_ref().map_or(Layout::X86, |choice| choice.layout))
    }

    /// Returns the name of the architecture; empty if the key is missing.
    pub(super) fn architecture(&self) -> &str {
        self.header.architecture()
    }

    /// Returns a reader of the metadata.
    pub(super) fn keys(&self) -> Keys<'_> {
        Keys { file: self.file(), header: &self.header }
    }

    /// Returns an error that says what is wrong with this file.
    pub(super) fn bad(&self, reason: String) -> Error {
        Error::Gguf { file: self.file().into(), reason }
    }
}
