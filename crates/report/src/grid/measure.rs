//! What was measured, each with its unit and its way of printing.

use super::slice::{mean_over_texts, over_texts};
use crate::format::{estimate, fixed, megabytes, optional, percent, significant};
use bitkv_record::GridRow;

/// One column of a row, as tables show it.
pub(super) struct Measure {
    /// What it is, with its unit.
    pub(super) title: &'static str,
    pub(super) of: fn(&GridRow) -> Option<f64>,
    print: fn(f64) -> String,
    /// Whether its interval is shown.
    interval: bool,
}

pub(super) const KL: Measure =
    Measure { title: "KL, nats [95 % CI]", of: |row| row.kl_nats, print: three, interval: true };

pub(super) const ACCURACY: Measure =
    Measure { title: "answers right, % [95 % CI]", of: accuracy, print: percent, interval: true };

pub(super) const KEPT: Measure =
    Measure { title: "entries kept, %", of: kept, print: percent, interval: false };

/// All others, for those who read on.
pub(super) const PARTICULARS: [Measure; 8] = [
    Measure { title: "agreement, % [95 % CI]", of: |row| row.agreement, print: percent, interval: true },
    Measure {
        title: "NLL less the full cache's, nats [95 % CI]",
        of: |row| row.nll_difference,
        print: |value| fixed(value, 4),
        interval: true,
    },
    Measure {
        title: "relative error of the attention output",
        of: |row| row.output_error,
        print: three,
        interval: false,
    },
    Measure {
        title: "retained attention mass, %",
        of: |row| row.retained_mass,
        print: percent,
        interval: false,
    },
    Measure {
        title: "attention cosine, % (as published)",
        of: |row| row.attention_cosine,
        print: |value| fixed(100.0 * value, 2),
        interval: false,
    },
    Measure {
        title: "tokens before a free-running answer differs",
        of: |row| row.first_divergence.map(|tokens| tokens as f64),
        print: |value| fixed(value, 1),
        interval: false,
    },
    Measure {
        title: "tokens of a free-running answer that match, %",
        of: |row| row.matching_fraction,
        print: percent,
        interval: false,
    },
    Measure {
        title: "bytes of the cache, MB",
        of: |row| row.cache_bytes.map(|bytes| bytes as f64),
        print: megabytes,
        interval: false,
    },
];

impl Measure {
    /// The mean over texts as a cell of a table.
    pub(super) fn cell(&self, rows: &[&GridRow], seed: u64) -> String {
        match self.interval {
            true => estimate(over_texts(rows, self.of, seed), self.print),
            false => self.point(rows),
        }
    }

    /// The mean alone.
    pub(super) fn point(&self, rows: &[&GridRow]) -> String {
        optional(mean_over_texts(rows, self.of), self.print)
    }

    /// Whether any row has it.
    pub(super) fn is_in(&self, rows: &[&GridRow]) -> bool {
        rows.iter().any(|row| (self.of)(row).is_some())
    }
}

pub(super) fn three(value: f64) -> String {
    significant(value, 3)
}

/// Fraction of answers that were right.
pub(crate) fn accuracy(row: &GridRow) -> Option<f64> {
    let asked = (row.questions > 0).then_some(row.questions as f64)?;
    row.correct.map(|correct| correct as f64 / asked)
}

/// Fraction of entries kept.
pub(crate) fn kept(row: &GridRow) -> Option<f64> {
    let full = row.full_entries.filter(|full| *full > 0)?;
    row.kept_entries.map(|kept| kept as f64 / full as f64)
}
