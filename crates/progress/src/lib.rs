//! Progress of long work on standard error: a bar where a person watches, a plain line now and then where nobody does.
//!
//! Both tell the rate and the time that is left.

#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two plain lines: a log of an hour stays short.
const PAUSE: Duration = Duration::from_secs(30);
/// Between two drawings of a bar on which nothing happens, so that its time goes on.
const TICK: Duration = Duration::from_millis(500);

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Steps,
    Bytes,
}

/// Work of which some is done.
#[derive(Debug)]
pub struct Progress {
    /// Draws nothing where standard error is no terminal.
    bar: ProgressBar,
    unit: Unit,
    /// Where plain lines are written instead.
    plain: Option<Mutex<Plain>>,
}

/// When plain lines are due, and what their rate is measured from.
#[derive(Debug)]
struct Plain {
    began: Instant,
    /// Work that was done when it began; an earlier process did it.
    before: u64,
    last: Instant,
}

impl Progress {
    /// `count` steps of work.
    pub fn steps(name: &str, count: usize) -> Progress {
        Progress::new(name, count as u64, Unit::Steps)
    }

    /// `size` bytes of work.
    pub fn bytes(name: &str, size: u64) -> Progress {
        Progress::new(name, size, Unit::Bytes)
    }

    /// Work of which nobody is told.
    pub fn hidden() -> Progress {
        Progress { bar: ProgressBar::hidden(), unit: Unit::Steps, plain: None }
    }

    fn new(name: &str, length: u64, unit: Unit) -> Progress {
        let template = match unit {
            Unit::Steps => {
                "{prefix:<28} [{bar:24}] {pos}/{len} {msg} {per_sec} {elapsed_precise}, {eta_precise} left"
            }
            Unit::Bytes => {
                "{prefix:<28} [{bar:24}] {binary_bytes}/{binary_total_bytes} {msg} {binary_bytes_per_sec}, {eta_precise} left"
            }
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let bar = bar.with_style(style).with_prefix(name.to_owned());
        let now = Instant::now();
        let plain = bar.is_hidden().then(|| Mutex::new(Plain { began: now, before: 0, last: now }));
        if plain.is_none() {
            bar.enable_steady_tick(TICK);
        }
        Progress { bar, unit, plain }
    }

    /// The same work, of which `done` was there before: it does not count as speed.
    pub fn after(self, done: u64) -> Progress {
        self.bar.set_position(done);
        self.bar.reset_eta();
        if let Some(plain) = &self.plain {
            plain.lock().unwrap_or_else(PoisonError::into_inner).before = done;
        }
        self
    }

    /// One more step is done.
    pub fn advance(&self) {
        self.bar.inc(1);
        self.write_if_due();
    }

    /// So much is done. It can be less than before, where work has to start over.
    pub fn reach(&self, done: u64) {
        self.bar.set_position(done);
        self.write_if_due();
    }

    /// So much is done of work whose length is known only now.
    pub fn reach_of(&self, done: u64, length: u64) {
        self.bar.set_length(length);
        self.reach(done);
    }

    /// What else can be told of the work as it stands.
    pub fn tell(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Writes a sentence without disturbing the bar.
    pub fn note(&self, sentence: &str) {
        self.bar.suspend(|| eprintln!("{sentence}"));
    }

    /// All is done.
    pub fn finish(self) {
        self.bar.finish();
    }

    /// All is done, and the bar is not worth keeping.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }

    fn write_if_due(&self) {
        let Some(plain) = &self.plain else { return };
        let mut plain = plain.lock().unwrap_or_else(PoisonError::into_inner);
        if plain.last.elapsed() < PAUSE {
            return;
        }
        plain.last = Instant::now();
        // Work that starts over has no rate.
        let done = self.bar.position();
        let made = done.saturating_sub(plain.before);
        let length = self.bar.length().unwrap_or(done);
        let line = line(
            self.unit,
            [done, length, made],
            plain.began.elapsed(),
            &self.bar.prefix(),
            &self.bar.message(),
        );
        eprintln!("{line}");
    }
}

/// One plain line from what is done, what is to be done and what was made in the time since the beginning.
fn line(unit: Unit, [done, length, made]: [u64; 3], elapsed: Duration, name: &str, message: &str) -> String {
    let shown = |amount: u64| match unit {
        Unit::Steps => amount.to_string(),
        Unit::Bytes => HumanBytes(amount).to_string(),
    };
    let rate = made as f64 / elapsed.as_secs_f64().max(1e-9);
    let speed = match unit {
        Unit::Steps if rate >= 1.0 || made == 0 => format!("{rate:.1} a second"),
        Unit::Steps => format!("{:.1} s each", 1.0 / rate),
        Unit::Bytes => format!("{} a second", HumanBytes(rate as u64)),
    };
    let left = match made {
        0 => "time left not known yet".to_owned(),
        _ => {
            let seconds = length.saturating_sub(done) as f64 / rate;
            format!("about {} left", HumanDuration(Duration::from_secs_f64(seconds)))
        }
    };
    let also = if message.is_empty() { String::new() } else { format!(" ({message})") };
    format!("{name}: {} of {}, {speed}, {left}{also}", shown(done), shown(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            line(Unit::Steps, [120, 360, 120], minute, "scorers tiny-mha", ""),
            "scorers tiny-mha: 120 of 360, 2.0 a second, about 2 minutes left"
        );
        // What was there before is no speed.
        assert_eq!(
            line(Unit::Steps, [350, 360, 5], minute, "resumed", "loss 2.5"),
            "resumed: 350 of 360, 12.0 s each, about 2 minutes left (loss 2.5)"
        );
        assert_eq!(
            line(Unit::Bytes, [3 << 20, 9 << 20, 3 << 20], minute, "writing", ""),
            "writing: 3.00 MiB of 9.00 MiB, 51.20 KiB a second, about 2 minutes left"
        );
        assert_eq!(
            line(Unit::Steps, [0, 8, 0], minute, "slow", ""),
            "slow: 0 of 8, 0.0 a second, time left not known yet"
        );
    }

    #[test]
    fn work_is_counted_from_what_was_there() {
        let progress = Progress::steps("work", 10).after(4);
        progress.advance();
        assert_eq!((progress.bar.position(), progress.bar.length()), (5, Some(10)));
        progress.reach_of(2, 20);
        assert_eq!((progress.bar.position(), progress.bar.length()), (2, Some(20)));
        progress.clear();
    }
}
