//! Progress on standard error, silent where nobody watches.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts steps.
#[derive(Clone, Debug)]
pub struct Steps(ProgressBar);

impl Steps {
    /// A bar of `count` steps, named.
    pub fn new(name: &str, count: usize) -> Steps {
        let style = ProgressStyle::with_template("{msg:<28} [{bar:30}] {pos}/{len} {elapsed_precise}");
        let bar = ProgressBar::new(count as u64).with_message(name.to_owned());
        Steps(bar.with_style(style.expect("the template is constant")))
    }

    /// A bar that shows nothing.
    pub fn hidden() -> Steps {
        Steps(ProgressBar::hidden())
    }

    /// One step is done.
    pub fn advance(&self) {
        self.0.inc(1);
    }

    /// All steps are done.
    pub fn finish(&self) {
        self.0.finish();
    }
}
