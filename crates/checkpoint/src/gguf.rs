//! GGUF files: the container, what models store in it, and writing them.
//!
//! ```text
//! bytes -> Header (metadata, places of tensors) -> Gguf (configuration, vocabulary, tensors by Hugging Face's names)
//! ```

mod config;
mod convert;
mod cursor;
mod damage;
mod dense;
mod describe;
mod file;
mod header;
mod keys;
mod layout;
mod layout_choice;
mod linear;
pub mod names;
mod open;
mod target;
mod types;
mod value;
mod vocabulary;
mod write;

pub use convert::{WriteOptions, write};
pub use file::Gguf;
pub use header::Entry;
pub use layout_choice::{LayoutChoice, Reason};
pub use open::Options;
pub use target::Target;
pub use value::{Array, Value, ValueType};
pub use vocabulary::Vocabulary;
pub use write::{Announced, Field, GgufWriter};
