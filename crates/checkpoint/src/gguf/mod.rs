//! GGUF files: the container, what models store in it, and writing them.
//!
//! ```text
//! bytes -> Header (metadata, places of tensors) -> Gguf (configuration, vocabulary, tensors by Hugging Face's names)
//! ```

mod config;
mod convert;
mod cursor;
mod dense;
mod describe;
mod file;
mod header;
mod keys;
mod layout;
mod linear;
pub mod names;
mod target;
mod types;
mod value;
mod vocabulary;
mod write;

pub use convert::{WriteOptions, write};
pub use file::{Gguf, Options};
pub use header::Entry;
pub use layout::{LayoutChoice, Reason};
pub use target::Target;
pub use value::{Array, Kind, Value};
pub use vocabulary::Vocabulary;
pub use write::{Announced, Field, GgufWriter};
