//! Reads and writes GGUF files: the container, and what models store in it.
//!
//! ```text
//! bytes -> Header: metadata, positions of tensors
//!       -> Gguf: configuration, vocabulary, tensors by Hugging Face name
//! ```
//!
//! [`Gguf`] is an open file; [`ReadOptions`] say what the file does not record. [`write()`] converts a
//! checkpoint to a [`Target`] type, with [`WriteOptions`]. [`GgufWriter`] writes any other container.

mod config;
mod convert;
mod cursor;
mod damage;
mod dense;
mod describe;
mod file;
mod header;
mod keys;
mod known_keys;
mod layout;
mod layout_choice;
mod linear;
pub mod names;
mod open;
mod rope;
mod split;
mod target;
mod types;
mod value;
mod vocabulary;
mod write;

pub(crate) use linear::{from_floats, ternary_value};

pub use convert::{WriteOptions, write};
pub use file::Gguf;
pub use header::MetadataEntry;
pub use layout_choice::{LayoutChoice, LayoutReason};
pub use open::ReadOptions;
pub use split::parts;
pub use target::Target;
pub(crate) use types::description as type_description;
pub use value::{Array, Value, ValueType};
pub use vocabulary::Vocabulary;
pub use write::{Field, GgufWriter, TensorSpec};
