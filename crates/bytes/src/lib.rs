//! Maps files into memory, recognises what they hold, writes files atomically, and allocates large pages.
//!
//! [`map_file`] maps a file into memory, [`AtomicFile`] and [`write()`] write a file atomically, and
//! [`DraftFolder`] a folder. All changes of the disk go through [`disk`], which tests can let fail. [`Pages`]
//! is memory in large pages, and [`peak_resident_bytes`] returns the peak memory of this process.
//! [`available_memory`] and [`free_disk`] say how much can still be had, and [`MemoryLimit`] and
//! [`check_disk`] refuse work that needs more.
//!
//! Every input file is opened by [`open_regular`], and read by a function that takes a [`limit`] of its size:
//! [`read_bytes`], [`read_expected`], [`read_document`], [`read_written_document`] and [`read_text_bytes`].
//! [`misplaced`] says what a file is if it is not what its reader expects.
//!
//! Only this crate and `bitkv-kernels` contain `unsafe` code.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allocator;
mod atomic_file;
mod available;
pub mod disk;
mod draft_folder;
mod drafts;
mod expected;
mod fault;
pub mod limit;
mod mapped_file;
mod pages;
mod part_name;
mod read;

pub use allocator::{keep_freed_memory, peak_resident_bytes};
pub use atomic_file::{AtomicFile, Existing, check_target, write, write_with};
pub use available::{MemoryLimit, TooLarge, available_memory, check_disk, free_disk};
pub use draft_folder::{DraftFolder, check_new_folder};
pub use drafts::{remove_drafts, unused_name};
pub use expected::{Expected, misplaced, without_byte_order_mark};
pub use mapped_file::{MappedFile, map_file};
pub use pages::Pages;
pub use part_name::{part_name, part_names};
pub use read::{
    check_values, open_regular, read_bytes, read_document, read_expected, read_regular_bytes,
    read_text_bytes, read_written_document,
};
