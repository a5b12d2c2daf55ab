//! The interface by which libraries report the progress of long work. Their caller decides what is shown: the command
//! line draws bars, tests listen, and [`Silent`] shows nothing.

#![forbid(unsafe_code)]

/// What a piece of work is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Steps of any kind.
    Steps,
    /// Bytes.
    Bytes,
}

/// Listens to long work. Pieces of work may be nested: what is said concerns the piece that began last and has not ended.
pub trait Progress: Sync {
    /// A piece of work begins; `done` of its `length` were done by an earlier process.
    fn begin(&self, name: &str, unit: Unit, length: u64, done: u64) {
        let _ = (name, unit, length, done);
    }

    /// One more step is done.
    fn advance(&self) {}

    /// `done` is done in all. It can be less than before, where work has to start over.
    fn reach(&self, done: u64) {
        let _ = done;
    }

    /// What else can be said of the work as it stands.
    fn describe(&self, state: &str) {
        let _ = state;
    }

    /// The piece of work ends. It is complete unless it failed.
    fn end(&self, complete: bool) {
        let _ = complete;
    }

    /// A sentence that a person at the terminal should read, such as that a cached copy is used.
    fn note(&self, sentence: &str) {
        let _ = sentence;
    }
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A piece of work that goes on. When it is dropped before it is finished, it has failed.
pub struct Work<'p> {
    listener: &'p dyn Progress,
    finished: bool,
}

impl<'p> Work<'p> {
    /// Begins work of `count` steps.
    pub fn steps(listener: &'p dyn Progress, name: &str, count: usize) -> Work<'p> {
        Work::resumed(listener, name, count, 0)
    }

    /// Begins work of `count` steps, of which an earlier process did `done`.
    pub fn resumed(listener: &'p dyn Progress, name: &str, count: usize, done: usize) -> Work<'p> {
        listener.begin(name, Unit::Steps, count as u64, done as u64);
        Work { listener, finished: false }
    }

    /// Begins work on `size` bytes, of which an earlier process did `done`.
    pub fn bytes(listener: &'p dyn Progress, name: &str, size: u64, done: u64) -> Work<'p> {
        listener.begin(name, Unit::Bytes, size, done);
        Work { listener, finished: false }
    }

    /// One more step is done.
    pub fn advance(&self) {
        self.listener.advance();
    }

    /// `done` is done in all.
    pub fn reach(&self, done: u64) {
        self.listener.reach(done);
    }

    /// What else can be said of the work as it stands.
    pub fn describe(&self, state: &str) {
        self.listener.describe(state);
    }

    /// All is done.
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
    struct Heard(Mutex<Vec<String>>);

    impl Heard {
        fn hear(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Progress for Heard {
        fn begin(&self, name: &str, unit: Unit, length: u64, done: u64) {
            self.hear(format!("{name} {unit:?} {done}/{length}"));
        }

        fn advance(&self) {
            self.hear("advance".into());
        }

        fn end(&self, complete: bool) {
            self.hear(format!("end {complete}"));
        }
    }

    #[test]
    fn work_that_is_dropped_has_failed() {
        let heard = Heard::default();
        let outer = Work::resumed(&heard, "outer", 4, 1);
        drop(Work::bytes(&heard, "inner", 9, 0));
        outer.advance();
        outer.finish();
        let expected = ["outer Steps 1/4", "inner Bytes 0/9", "end false", "advance", "end true"];
        assert_eq!(*heard.0.lock().unwrap(), expected);
    }
}
