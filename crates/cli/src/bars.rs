//! Shows the progress of long work on standard error: a bar on a terminal, and otherwise a plain line every
//! 10 seconds and at the end. Both show the rate and the remaining time.

use std::{
    sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{interrupt, verbosity};
use bitkv_progress::{Progress, Unit};
use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The least time between two plain lines of a piece of work.
const PAUSE: Duration = Duration::from_secs(10);
/// Shorter work has no plain line at its end, unless the user asks for what happens.
const SHORT: Duration = Duration::from_secs(1);
/// The time between two drawings of a bar without progress, so that its elapsed time stays current, and
/// between two checks whether a plain line is due.
const TICK: Duration = Duration::from_millis(500);

/// Every piece of work in progress, with the innermost last.
#[derive(Debug)]
pub(crate) struct Bars(Mutex<Vec<Bar>>);

/// Arranges the bars on standard error, so that nested bars do not overwrite each other. It draws nothing if
/// standard error is not a terminal, or if only errors are shown.
static LINES: LazyLock<MultiProgress> = LazyLock::new(|| {
    let target =
        if verbosity::is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    MultiProgress::with_draw_target(target)
});

/// The bars of this process. They are global because a process has one standard error.
pub(crate) static BARS: Bars = Bars(Mutex::new(Vec::new()));

/// Starts [`watch`] when the first plain lines are needed.
static WATCH: Once = Once::new();

/// Writes plain lines that are due also while no step ends, because a step may take minutes.
fn watch() {
    thread::spawn(|| {
        loop {
            thread::sleep(TICK);
            if let Some(bar) = BARS.bars().last_mut() {
                bar.write_if_due();
            }
        }
    });
}

/// Prints a line on standard error. Bars stay below it.
pub(crate) fn print_above(line: &str) {
    LINES.suspend(|| verbosity::write_line(line));
}

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
        let Some(bar) = self.bars().pop() else { return };
        bar.write_end(complete);
        match complete {
            // The command prints what was written, so a bar of bytes is not needed any more.
            true if bar.unit == Unit::Bytes => bar.shown.finish_and_clear(),
            true => bar.shown.finish(),
            false => bar.shown.abandon(),
        }
    }

    fn note(&self, sentence: &str) {
        verbosity::note(sentence);
    }

    fn detail(&self, sentence: &str) {
        verbosity::detail(sentence);
    }
}

/// A piece of work that is shown on standard error.
#[derive(Debug)]
struct Bar {
    /// Draws nothing if standard error is not a terminal.
    shown: ProgressBar,
    unit: Unit,
    /// The state of the plain lines; `None` on a terminal, and if only errors are shown.
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
                "{prefix:<28} [{bar:24.cyan}] {pos}/{len} {msg} {per_sec} {elapsed_precise}, {eta_precise} left"
            }
            Unit::Bytes => {
                "{prefix:<28} [{bar:24.cyan}] {binary_bytes}/{binary_total_bytes} {msg} {binary_bytes_per_sec}, \
                 {eta_precise} left"
            }
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        let bar = LINES.add(ProgressBar::new(length));
        let shown = bar.with_style(style).with_prefix(name.to_owned());
        let now = Instant::now();
        let has_lines = shown.is_hidden() && !verbosity::is_quiet();
        if has_lines {
            WATCH.call_once(watch);
        }
        let plain = has_lines.then_some(PlainLines { began: now, done_before: done, last_line: now });
        if !shown.is_hidden() {
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
        let elapsed = plain.began.elapsed();
        verbosity::write_line(&line(&self.work_done(elapsed), &self.shown.message()));
    }

    /// Writes the last plain line, except about short work.
    fn write_end(&self, complete: bool) {
        let Some(plain) = &self.plain else { return };
        let elapsed = plain.began.elapsed();
        if elapsed >= SHORT || verbosity::is_verbose() {
            verbosity::write_line(&end_line(&self.work_done(elapsed), complete));
        }
    }

    /// Returns how much is done after the time `elapsed`.
    fn work_done(&self, elapsed: Duration) -> WorkDone {
        let done = self.shown.position();
        // Work that starts again may be below `done_before`; its rate is not known then.
        let done_before = self.plain.as_ref().map_or(0, |plain| plain.done_before);
        WorkDone {
            name: self.shown.prefix(),
            unit: self.unit,
            done,
            length: self.shown.length().unwrap_or(done),
            made: done.saturating_sub(done_before),
            elapsed,
        }
    }
}

/// How much of a piece of work is done, in steps or bytes.
struct WorkDone {
    name: String,
    unit: Unit,
    done: u64,
    length: u64,
    /// What this process did of it in the time `elapsed`.
    made: u64,
    elapsed: Duration,
}

impl WorkDone {
    /// Returns the steps or bytes per second.
    fn rate(&self) -> f64 {
        self.made as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Formats what is done of the whole, such as `120 of 360`.
    fn share(&self) -> String {
        let shown = |amount: u64| match self.unit {
            Unit::Steps => amount.to_string(),
            Unit::Bytes => HumanBytes(amount).to_string(),
        };
        format!("{} of {}", shown(self.done), shown(self.length))
    }

    /// Formats the rate.
    fn speed(&self) -> String {
        let rate = self.rate();
        match self.unit {
            Unit::Steps if rate >= 1.0 || self.made == 0 => format!("{rate:.1} per second"),
            Unit::Steps => format!("{:.1} s each", 1.0 / rate),
            Unit::Bytes => format!("{} per second", HumanBytes(rate as u64)),
        }
    }
}

/// Formats the plain line of work in progress.
fn line(work: &WorkDone, message: &str) -> String {
    let left = match work.made {
        0 => "remaining time not known yet".to_owned(),
        _ => {
            let seconds = work.length.saturating_sub(work.done) as f64 / work.rate();
            format!("about {} left", HumanDuration(Duration::from_secs_f64(seconds)))
        }
    };
    let message = if message.is_empty() { String::new() } else { format!(" ({message})") };
    format!("{}: {}, {}, {left}{message}", work.name, work.share(), work.speed())
}

/// Formats the plain line of work that has ended.
fn end_line(work: &WorkDone, complete: bool) -> String {
    let end = if complete { "in" } else { "stopped after" };
    format!("{}: {}, {}, {end} {:.1} s", work.name, work.share(), work.speed(), work.elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use bitkv_progress::Work;

    use super::*;

    #[test]
    fn a_line_shows_the_rate_and_the_remaining_time() {
        let work = |name: &str, unit, [done, length, made]: [u64; 3]| WorkDone {
            name: name.to_owned(),
            unit,
            done,
            length,
            made,
            elapsed: Duration::from_secs(60),
        };
        let steps = work("scorers tiny-mha", Unit::Steps, [120, 360, 120]);
        assert_eq!(line(&steps, ""), "scorers tiny-mha: 120 of 360, 2.0 per second, about 2 minutes left");
        assert_eq!(
            end_line(&steps, false),
            "scorers tiny-mha: 120 of 360, 2.0 per second, stopped after 60.0 s"
        );
        // Work that an earlier process did does not count for the rate.
        assert_eq!(
            line(&work("resumed", Unit::Steps, [350, 360, 5]), "loss 2.5"),
            "resumed: 350 of 360, 12.0 s each, about 2 minutes left (loss 2.5)"
        );
        let bytes = work("writing", Unit::Bytes, [3 << 20, 9 << 20, 3 << 20]);
        assert_eq!(
            line(&bytes, ""),
            "writing: 3.00 MiB of 9.00 MiB, 51.20 KiB per second, about 2 minutes left"
        );
        let whole = work("writing", Unit::Bytes, [9 << 20, 9 << 20, 9 << 20]);
        assert_eq!(end_line(&whole, true), "writing: 9.00 MiB of 9.00 MiB, 153.60 KiB per second, in 60.0 s");
        assert_eq!(
            line(&work("slow", Unit::Steps, [0, 8, 0]), ""),
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
