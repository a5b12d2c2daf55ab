//! Shows the progress of long work on standard error: a bar on a terminal, and otherwise a plain line every
//! 30 seconds. Both show the rate and the remaining time.

use std::{
    io::{self, IsTerminal},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::interrupt;
use bitkv_progress::{Progress, Unit};
use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// The time between two plain lines: the log of an hour has 120 lines.
const PAUSE: Duration = Duration::from_secs(30);
/// The time between two drawings of a bar without progress, so that its elapsed time stays current.
const TICK: Duration = Duration::from_millis(500);

/// Every piece of work in progress, with the innermost last.
#[derive(Debug)]
pub(crate) struct Bars(Mutex<Vec<Bar>>);

/// Arranges the bars on standard error, so that nested bars do not overwrite each other.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The bars of this process. They are global because a process has one standard error.
pub(crate) static BARS: Bars = Bars(Mutex::new(Vec::new()));

impl Bars {
    fn bars(&self) -> MutexGuard<'_, Vec<Bar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn begin(&self, name: &str, unit: Unit, length: u64, done: u64) {
        self.bars().push(Bar::new(name, unit, length, done));
    }

    fn advance(&self) {
        if let Some(bar) = self.bars().last_mut() {
            bar.shown.inc(1);
            bar.write_if_due();
        }
    }

    fn reach(&self, done: u64) {
        if let Some(bar) = self.bars().last_mut() {
            bar.shown.set_position(done);
            bar.write_if_due();
        }
    }

    fn describe(&self, state: &str) {
        if let Some(bar) = self.bars().last() {
            bar.shown.set_message(state.to_owned());
        }
    }

    fn is_cancelled(&self) -> bool {
        interrupt::is_asked()
    }

    fn end(&self, complete: bool) {
        match (self.bars().pop(), complete) {
            // The command prints what was written, so a bar of bytes is not needed any more.
            (Some(bar), true) if bar.unit == Unit::Bytes => bar.shown.finish_and_clear(),
            (Some(bar), true) => bar.shown.finish(),
            (Some(bar), false) => bar.shown.abandon(),
            (None, _) => {}
        }
    }

    fn note(&self, sentence: &str) {
        match self.bars().last() {
            Some(bar) if io::stderr().is_terminal() => bar.shown.suspend(|| eprintln!("note: {sentence}")),
            _ => eprintln!("note: {sentence}"),
        }
    }
}

/// A piece of work that is shown on standard error.
#[derive(Debug)]
struct Bar {
    /// Draws nothing if standard error is not a terminal.
    shown: ProgressBar,
    unit: Unit,
    /// The state of the plain lines; `None` on a terminal.
    plain: Option<PlainLines>,
}

/// When the last plain line was written, and what the rate is measured from.
#[derive(Debug)]
struct PlainLines {
    began: Instant,
    /// The work that an earlier process did.
    done_before: u64,
    last_line: Instant,
}

impl Bar {
    fn new(name: &str, unit: Unit, length: u64, done: u64) -> Bar {
        let template = match unit {
            Unit::Steps => {
                "{prefix:<28} [{bar:24}] {pos}/{len} {msg} {per_sec} {elapsed_precise}, {eta_precise} left"
            }
            Unit::Bytes => {
                "{prefix:<28} [{bar:24}] {binary_bytes}/{binary_total_bytes} {msg} {binary_bytes_per_sec}, {eta_precise} left"
            }
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        let bar = LINES.add(ProgressBar::new(length));
        let shown = bar.with_style(style).with_prefix(name.to_owned());
        let now = Instant::now();
        let plain = shown.is_hidden().then_some(PlainLines { began: now, done_before: done, last_line: now });
        if plain.is_none() {
            shown.enable_steady_tick(TICK);
        }
        shown.set_position(done);
        shown.reset_eta();
        Bar { shown, unit, plain }
    }

    fn write_if_due(&mut self) {
        let Some(plain) = &mut self.plain else { return };
        if plain.last_line.elapsed() < PAUSE {
            return;
        }
        plain.last_line = Instant::now();
        // Work that starts again may be below `done_before`; its rate is not known then.
        let done = self.shown.position();
        let made = done.saturating_sub(plain.done_before);
        let length = self.shown.length().unwrap_or(done);
        let line = line(
            self.unit,
            [done, length, made],
            plain.began.elapsed(),
            &self.shown.prefix(),
            &self.shown.message(),
        );
        eprintln!("{line}");
    }
}

/// Formats one plain line. `done` of `length` is done, and this process did `made` of it in the time
/// `elapsed`.
fn line(unit: Unit, [done, length, made]: [u64; 3], elapsed: Duration, name: &str, message: &str) -> String {
    let shown = |amount: u64| match unit {
        Unit::Steps => amount.to_string(),
        Unit::Bytes => HumanBytes(amount).to_string(),
    };
    let rate = made as f64 / elapsed.as_secs_f64().max(1e-9);
    let speed = match unit {
        Unit::Steps if rate >= 1.0 || made == 0 => format!("{rate:.1} per second"),
        Unit::Steps => format!("{:.1} s each", 1.0 / rate),
        Unit::Bytes => format!("{} per second", HumanBytes(rate as u64)),
    };
    let left = match made {
        0 => "remaining time not known yet".to_owned(),
        _ => {
            let seconds = length.saturating_sub(done) as f64 / rate;
            format!("about {} left", HumanDuration(Duration::from_secs_f64(seconds)))
        }
    };
    let message = if message.is_empty() { String::new() } else { format!(" ({message})") };
    format!("{name}: {} of {}, {speed}, {left}{message}", shown(done), shown(length))
}

#[cfg(test)]
mod tests {
    use bitkv_progress::Work;

    use super::*;

    #[test]
    fn a_line_shows_the_rate_and_the_remaining_time() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            line(Unit::Steps, [120, 360, 120], minute, "scorers tiny-mha", ""),
            "scorers tiny-mha: 120 of 360, 2.0 per second, about 2 minutes left"
        );
        // Work that an earlier process did does not count for the rate.
        assert_eq!(
            line(Unit::Steps, [350, 360, 5], minute, "resumed", "loss 2.5"),
            "resumed: 350 of 360, 12.0 s each, about 2 minutes left (loss 2.5)"
        );
        assert_eq!(
            line(Unit::Bytes, [3 << 20, 9 << 20, 3 << 20], minute, "writing", ""),
            "writing: 3.00 MiB of 9.00 MiB, 51.20 KiB per second, about 2 minutes left"
        );
        assert_eq!(
            line(Unit::Steps, [0, 8, 0], minute, "slow", ""),
            "slow: 0 of 8, 0.0 per second, remaining time not known yet"
        );
    }

    #[test]
    fn progress_concerns_the_innermost_work() {
        let bars = Bars(Mutex::new(Vec::new()));
        let outer = Work::resumed(&bars, "outer", 10, 4);
        outer.advance();
        let inner = Work::bytes(&bars, "inner", 20, 0);
        inner.reach(2);
        let positions = || bars.bars().iter().map(|bar| bar.shown.position()).collect::<Vec<_>>();
        assert_eq!(positions(), [5, 2]);
        inner.finish();
        outer.advance();
        assert_eq!(positions(), [6]);
        outer.finish();
        assert!(positions().is_empty());
    }
}
