//! A test hub on this machine, and a listener that records progress.
#![allow(dead_code, reason = "each test file uses only some of these items")]

mod repository;
mod server;
pub(crate) mod weights;

use std::{path::Path, sync::Mutex, time::Duration};

use bitkv_hub::{Error, ModelId, Settings};
use bitkv_progress::{Progress, Unit};
pub(crate) use repository::Repository;
pub(crate) use server::{Reply, Request, Server};

/// Settings for a server, with no waits between tries.
pub(crate) fn settings(server: &Server, cache: &Path) -> Settings {
    let mut settings = Settings::new(cache);
    settings.endpoint = server.endpoint();
    settings.backoff = Duration::ZERO;
    settings
}

pub(crate) fn id(text: &str) -> ModelId {
    ModelId::parse(text).expect(text)
}

/// Fetches a model. Returns the result and the recorded progress.
pub(crate) fn fetch(text: &str, settings: &Settings) -> (Result<std::path::PathBuf, Error>, Listener) {
    let listening = Mutex::new(Listener::default());
    let fetched = bitkv_hub::fetch(&id(text), settings, &Listening(&listening));
    (fetched, listening.into_inner().expect("no panic"))
}

/// Records the progress of a download.
#[derive(Default)]
pub(crate) struct Listener {
    pub(crate) notes: Vec<String>,
    /// The name of each file, its size, and the number of bytes that were already there.
    pub(crate) started: Vec<(String, u64, u64)>,
    pub(crate) reached: Vec<u64>,
    pub(crate) finished: usize,
}

struct Listening<'a>(&'a Mutex<Listener>);

impl Listening<'_> {
    fn record(&self, change: impl FnOnce(&mut Listener)) {
        change(&mut self.0.lock().expect("no panic"));
    }
}

impl Progress for Listening<'_> {
    fn begin(&self, file: &str, unit: Unit, size: u64, done: u64) {
        assert_eq!(unit, Unit::Bytes);
        self.record(|listener| listener.started.push((file.into(), size, done)));
    }

    fn reach(&self, bytes: u64) {
        self.record(|listener| listener.reached.push(bytes));
    }

    fn end(&self, complete: bool) {
        self.record(|listener| listener.finished += usize::from(complete));
    }

    fn note(&self, sentence: &str) {
        self.record(|listener| listener.notes.push(sentence.into()));
    }
}

/// The names in a folder, sorted; empty if there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Bytes without a pattern, so that a wrong offset is noticed.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
