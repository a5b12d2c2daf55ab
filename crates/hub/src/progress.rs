//! Who is told how a download goes.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

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

/// A bar on standard error for each file; silent where that is no terminal.
#[derive(Debug, Default)]
pub struct Bars {
    current: Option<ProgressBar>,
}

impl Bars {
    /// No bar yet.
    pub fn new() -> Bars {
        Bars::default()
    }
}

impl Progress for Bars {
    fn started(&mut self, file: &str, size: u64, have: u64) {
        let template =
            "{msg:<32} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        // Bytes from an earlier try must not count as speed.
        let bar = ProgressBar::new(size).with_style(style).with_message(file.to_owned()).with_position(have);
        bar.reset_eta();
        self.current = Some(bar);
    }

    fn reached(&mut self, bytes: u64) {
        if let Some(bar) = &self.current {
            bar.set_position(bytes);
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
            Some(bar) => bar.suspend(|| eprintln!("{sentence}")),
            None => eprintln!("{sentence}"),
        }
    }
}
