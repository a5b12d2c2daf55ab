//! Bytes in files and in memory, as the operating system offers them: files that are mapped ([`map_file`]), files that
//! are written whole or not at all ([`AtomicFile`]), memory in large pages ([`Pages`]), and what a process takes of it
//! ([`peak_resident_bytes`]).
//!
//! This crate and `bitkv-kernels` are the only two with `unsafe`.

mod allocator;
mod atomic_file;
mod mapped_file;
mod pages;

pub use allocator::{keep_freed, peak_resident_bytes};
pub use atomic_file::{AtomicFile, unused_name, write};
pub use mapped_file::{MappedFile, map_file};
pub use pages::Pages;
