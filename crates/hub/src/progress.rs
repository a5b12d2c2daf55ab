//! Who is told how a download goes.

use std::io::{self, IsTerminal};

use bitkv_progress as shown;

/// Is told what [`crate::fetch()`] does. Files come one after another. Sizes are in bytes.
pub trait Progress {
    /// The transfer of `file` begins; `have` of its `size` bytes are there from an earlier try.
    fn started(&mut self, file: &str, size: u64, have: u64) {
        let _ = (file, size, have);
    }

    /// `bytes` of the file are there now. It can fall, when a transfer has to start over.
    fn reached(&mut self, bytes: u64) {
        let _ = bytes;
    }

    /// The file is whole, checked and in the cache.
    fn finished(&mut self) {}

    /// A sentence that the user should read, such as that a cached copy is used.
    fn note(&mut self, sentence: &str) {
        let _ = sentence;
    }
}

/// Listens to nothing.
impl Progress for () {}

/// Tells of each file on standard error, as [`bitkv_progress`] does.
#[derive(Debug, Default)]
pub struct Bars {
    current: Option<shown::Progress>,
}

impl Bars {
    /// No bar yet.
    pub fn new() -> Bars {
        Bars::default()
    }
}

impl Progress for Bars {
    fn started(&mut self, file: &str, size: u64, have: u64) {
        self.current = Some(shown::Progress::bytes(file, size).after(have));
    }

    fn reached(&mut self, bytes: u64) {
        if let Some(bar) = &self.current {
            bar.reach(bytes);
        }
    }

    fn finished(&mut self) {
        if let Some(bar) = self.current.take() {
            bar.finish();
        }
    }

    fn note(&mut self, sentence: &str) {
        if !io::stderr().is_terminal() {
            return;
        }
        match &self.current {
            Some(bar) => bar.note(sentence),
            None => eprintln!("{sentence}"),
        }
    }
}
