//! The interface through which libraries report the progress of long work.
//!
//! A library begins a piece of work with [`Work`], which reports to a [`Progress`] that the caller provides.
//! The caller decides what is shown: the command line draws bars, tests record the calls, and [`Silent`]
//! shows nothing.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

/// The unit in which a piece of work is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Steps of any kind.
    Steps,
    /// Bytes.
    Bytes,
}

/// Receives the progress of long work. Pieces of work may be nested: a call concerns the piece that began
/// last and has not ended.
pub trait Progress: Sync {
    /// Called when a piece of work begins. It has `length` steps or bytes; an earlier process did `done` of
    /// them.
    fn begin(&self, name: &str, unit: Unit, length: u64, done: u64) {
        let _ = (name, unit, length, done);
    }

    /// Called when one more step is done.
    fn advance(&self) {}

    /// Called when `done` steps or bytes are done in total. The number is smaller than before if the work had
    /// to start again.
    fn reach(&self, done: u64) {
        let _ = done;
    }

    /// Called with a description of the current state of the work, in a few words.
    fn describe(&self, state: &str) {
        let _ = state;
    }

    /// Called when the piece of work ends. `complete` is false if it failed.
    fn end(&self, complete: bool) {
        let _ = complete;
    }

    /// Whether the user has asked the work to stop. Work that can be resumed then fails at the next point
    /// where nothing is lost.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Called with a sentence that the user should read, for example that a cached copy is used.
    fn note(&self, sentence: &str) {
        let _ = sentence;
    }

    /// Called with a sentence about what happens, for a user who asks for it: which file is read, or how many
    /// cells run together.
    fn detail(&self, sentence: &str) {
        let _ = sentence;
    }
}

/// Ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A piece of work in progress. It has failed if it is dropped before [`Work::finish`].
pub struct Work<'p> {
    listener: &'p dyn Progress,
    finished: bool,
}

impl<'p> Work<'p> {
    /// Begins work of `count` steps.
    pub fn steps(listener: &'p dyn Progress, name: &str, count: usize) -> Work<'p> {
        Work::resumed(listener, name, count, 0)
    }

    /// Begins work of `count` steps. An earlier process did `done` of them.
    pub fn resumed(listener: &'p dyn Progress, name: &str, count: usize, done: usize) -> Work<'p> {
        listener.begin(name, Unit::Steps, count as u64, done as u64);
        Work { listener, finished: false }
    }

    /// Begins work on `size` bytes. An earlier process did `done` of them.
    pub fn bytes(listener: &'p dyn Progress, name: &str, size: u64, done: u64) -> Work<'p> {
        listener.begin(name, Unit::Bytes, size, done);
        Work { listener, finished: false }
    }

    /// Reports that one more step is done.
    pub fn advance(&self) {
        self.listener.advance();
    }

    /// Reports that `done` steps or bytes are done in total.
    pub fn reach(&self, done: u64) {
        self.listener.reach(done);
    }

    /// Describes the current state of the work in a few words.
    pub fn describe(&self, state: &str) {
        self.listener.describe(state);
    }

    /// Reports a sentence about what happens, for a user who asks for it.
    pub fn detail(&self, sentence: &str) {
        self.listener.detail(sentence);
    }

    /// Whether the user has asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        self.listener.is_cancelled()
    }

    /// Reports that the work is complete.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.listener.end(self.finished);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl Recorder {
        fn record(&self, call: String) {
            self.0.lock().unwrap().push(call);
        }
    }

    impl Progress for Recorder {
        fn begin(&self, name: &str, unit: Unit, length: u64, done: u64) {
            self.record(format!("{name} {unit:?} {done}/{length}"));
        }

        fn advance(&self) {
            self.record("advance".into());
        }

        fn end(&self, complete: bool) {
            self.record(format!("end {complete}"));
        }
    }

    #[test]
    fn work_that_is_dropped_has_failed() {
        let recorder = Recorder::default();
        let outer = Work::resumed(&recorder, "outer", 4, 1);
        drop(Work::bytes(&recorder, "inner", 9, 0));
        outer.advance();
        outer.finish();
        let expected = ["outer Steps 1/4", "inner Bytes 0/9", "end false", "advance", "end true"];
        assert_eq!(*recorder.0.lock().unwrap(), expected);
    }
}
