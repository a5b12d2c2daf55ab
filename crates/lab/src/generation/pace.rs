//! How fast tokens are decoded, thousand by thousand, and the memory at the end of each thousand.

use std::time::Instant;

/// The number of tokens of a window.
pub const WINDOW_TOKENS: usize = 1000;

/// Consecutive decoded tokens, how long they took, and the memory after them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodeWindow {
    /// The number of tokens, of all texts together.
    pub tokens: usize,
    /// The seconds that the tokens took, evictions included.
    pub seconds: f64,
    /// The largest number of bytes of keys and values of a text in this window.
    pub most_cache_bytes: usize,
    /// The largest memory of the process so far, in bytes; `None` if the system does not say it.
    pub peak_rss_bytes: Option<u64>,
}

/// Counts tokens and divides them into windows.
pub(super) struct Pace {
    windows: Vec<DecodeWindow>,
    started: Instant,
    tokens: usize,
    most_cache_bytes: usize,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { windows: Vec::new(), started: Instant::now(), tokens: 0, most_cache_bytes: 0 }
    }

    /// Starts the clock, after the prompts.
    pub(super) fn start(&mut self) {
        self.started = Instant::now();
    }

    /// Counts a token, after which the cache of its text has `cache_bytes` bytes.
    pub(super) fn count(&mut self, cache_bytes: usize) {
        self.tokens += 1;
        self.most_cache_bytes = self.most_cache_bytes.max(cache_bytes);
        if self.tokens == WINDOW_TOKENS {
            self.close_window();
        }
    }

    /// Returns the windows. The last one may have fewer tokens than the others.
    pub(super) fn finish(mut self) -> Vec<DecodeWindow> {
        if self.tokens > 0 {
            self.close_window();
        }
        self.windows
    }

    /// Ends the current window and starts the next one.
    fn close_window(&mut self) {
        let now = Instant::now();
        self.windows.push(DecodeWindow {
            tokens: self.tokens,
            seconds: (now - self.started).as_secs_f64(),
            most_cache_bytes: self.most_cache_bytes,
            peak_rss_bytes: bitkv_bytes::peak_resident_bytes(),
        });
        (self.started, self.tokens, self.most_cache_bytes) = (now, 0, 0);
    }
}
