//! An open GGUF file: its metadata, its tensors and its vocabulary.

use crate::{Coding, Error, Result, Stored, codec::i2s::Layout};

use super::{
    header::{Entry, Header, Place},
    keys::Keys,
    layout_choice::LayoutChoice,
    names, vocabulary,
    vocabulary::Vocabulary,
};

/// An open GGUF file.
pub struct Gguf {
    pub(super) file: String,
    pub(super) header: Header,
    pub(super) layout: Option<LayoutChoice>,
}

impl Gguf {
    /// Returns the name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Keys and values in file order.
    pub fn metadata(&self) -> &[Entry] {
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
        self.header.places.iter().map(|place| place.bytes.len() as u64).sum()
    }

    /// All tensors under the names they have in the file.
    pub(crate) fn tensors(&self) -> Result<Vec<Stored>> {
        Ok(self.header.places.iter().map(|place| self.stored(place)).collect())
    }

    /// Returns whether there is a tensor with this Hugging Face name.
    pub(crate) fn has(&self, name: &str) -> bool {
        names::to_gguf(name).is_some_and(|name| self.place(&name).is_some())
    }

    /// The tensor of this Hugging Face name.
    pub(crate) fn get(&self, name: &str, hint: &'static str) -> Result<Stored> {
        let name = names::to_gguf(name).unwrap_or_else(|| name.into());
        let place = self.place(&name).ok_or_else(|| {
            self.bad(format!(
                "it lacks the tensor `{name}`{hint}; it is incomplete, so download or convert it again"
            ))
        })?;
        Ok(self.stored(place))
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.header.places
    }

    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.header.place(name)
    }

    pub(super) fn stored(&self, place: &Place) -> Stored {
        Stored {
            file: self.file.clone(),
            name: place.name.clone(),
            shape: place.shape.clone(),
            coding: self.coding(place),
            bytes: place.bytes.clone(),
        }
    }

    pub(super) fn coding(&self, place: &Place) -> Coding {
        self.header.coding(place, self.layout.as_ref().map_or(Layout::X86, |choice| choice.layout))
    }

    /// Returns the name of the architecture; empty if the key is missing.
    pub(super) fn architecture(&self) -> &str {
        self.header.architecture()
    }

    /// Returns a reader of the metadata.
    pub(super) fn keys(&self) -> Keys<'_> {
        Keys { file: &self.file, header: &self.header }
    }

    /// Returns an error that says what is wrong with this file.
    pub(super) fn bad(&self, reason: String) -> Error {
        Error::Gguf { file: self.file.clone(), reason }
    }
}
