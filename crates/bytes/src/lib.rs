//! Maps files into memory, writes files atomically, and allocates large pages.
//!
//! [`map_file`] maps a file into memory, [`AtomicFile`] and [`write()`] replace a file atomically, [`Pages`]
//! is memory in large pages, and [`peak_resident_bytes`] returns the peak memory of this process.
//!
//! Only this crate and `bitkv-kernels` contain `unsafe` code.

mod allocator;
mod atomic_file;
mod mapped_file;
mod pages;

pub use allocator::{keep_freed_memory, peak_resident_bytes};
pub use atomic_file::{AtomicFile, unused_name, write};
pub use mapped_file::{MappedFile, map_file};
pub use pages::Pages;
