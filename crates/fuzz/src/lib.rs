//! What fuzzers call: one function for each kind of file that comes from outside. See the README of this
//! crate.

mod checkpoints;
mod documents;
mod policies;
mod rows;
mod tensors;
mod texts;

use std::{cell::OnceCell, fmt::Display, path::Path};

use tempfile::TempDir;

/// A function that reads one kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name, which is also that of the folder of its seeds.
    pub name: &'static str,
    /// Reads an input. It panics if a message is not one sentence.
    pub read: fn(&[u8]),
}

/// All functions, in alphabetical order.
pub const TARGETS: [Target; 9] = [
    Target { name: "documents", read: documents::read },
    Target { name: "gguf", read: checkpoints::gguf },
    Target { name: "journals", read: rows::journal },
    Target { name: "policies", read: policies::read },
    Target { name: "rows", read: rows::read },
    Target { name: "safetensors", read: checkpoints::safetensors },
    Target { name: "templates", read: texts::template },
    Target { name: "tensors", read: tensors::read },
    Target { name: "tokenizers", read: texts::tokenizer },
];

/// Reads an input with the function of this name.
///
/// # Panics
/// Panics if there is no such function, or if it panics.
pub fn read(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target with this name").read)(input);
}

/// Checks that an error has a message, and that it does not repeat its whole input.
fn check_message(error: &dyn Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 1 << 14, "a message of {} bytes: {text:.300}", text.len());
}

/// Checks the message of an error, and returns the value if there is no error.
fn accepted<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| check_message(&error)).ok()
}

/// Calls a function with the path of a file that has this content. The file has the same path at every call
/// of a thread, so that names of files do not matter.
fn with_file(name: &str, content: &[u8], call: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            // Memory is faster than a disk, and no disk is worn out.
            let memory = Path::new("/dev/shm");
            let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
            made.expect("a temporary folder")
        });
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a temporary file");
        call(&path);
    });
}
