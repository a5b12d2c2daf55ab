//! A bar of bytes on standard error.

use indicatif::{ProgressBar, ProgressStyle};

/// Bytes on their way; silent where nobody looks.
pub(crate) struct Bytes {
    bar: ProgressBar,
}

/// A bar that begins with `what`.
pub(crate) fn bytes(what: &'static str) -> Bytes {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what);
    Bytes { bar }
}

impl Bytes {
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
