//! What was measured, each with its unit and its way of printing.

use super::quantity::{Quantity, mean_over_texts, over_texts};
use crate::format::{MISSING, estimate, fixed, megabytes, optional, percent, significant};
use crate::interval::Estimate;
use crate::table::Table;
use bitkv_record::GridRow;

/// One column of a row, as tables show it.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    /// What it is, with its unit.
    pub(super) title: &'static str,
    pub(super) quantity: Quantity,
    print: fn(f64) -> String,
    /// Whether its interval is shown.
    interval: bool,
}

pub(super) const KL: Measure =
    Measure { title: "KL, nats [95 % CI]", quantity: Quantity::KL, print: three, interval: true };

pub(super) const AGREEMENT: Measure = Measure {
    title: "agreement, % [95 % CI]",
    quantity: Quantity::AGREEMENT,
    print: percent,
    interval: true,
};

pub(super) const ACCURACY: Measure = Measure {
    title: "answers right, % [95 % CI]",
    quantity: Quantity::ACCURACY,
    print: percent,
    interval: true,
};

pub(super) const KEPT: Measure =
    Measure { title: "entries kept, %", quantity: Quantity::KEPT, print: percent, interval: false };

/// All others, for those who read on.
pub(super) const PARTICULARS: [Measure; 8] = [
    AGREEMENT,
    Measure {
        title: "NLL less the full cache's, nats [95 % CI]",
        quantity: Quantity::new(|row| row.nll_difference),
        print: |value| fixed(value, 4),
        interval: true,
    },
    Measure {
        title: "relative error of the attention output",
        quantity: Quantity::new(|row| row.output_error),
        print: three,
        interval: false,
    },
    Measure {
        title: "retained attention mass, %",
        quantity: Quantity::new(|row| row.retained_mass),
        print: percent,
        interval: false,
    },
    Measure {
        title: "attention cosine, % (as published)",
        quantity: Quantity::new(|row| row.attention_cosine),
        print: |value| fixed(100.0 * value, 2),
        interval: false,
    },
    Measure {
        title: "tokens before a free-running answer differs",
        quantity: Quantity::new(|row| row.first_divergence.map(|tokens| tokens as f64)),
        print: |value| fixed(value, 1),
        interval: false,
    },
    Measure {
        title: "tokens of a free-running answer that match, %",
        quantity: Quantity::new(|row| row.matching_fraction),
        print: percent,
        interval: false,
    },
    Measure {
        title: "bytes of the cache, MB",
        quantity: Quantity::new(|row| row.cache_bytes.map(|bytes| bytes as f64)),
        print: megabytes,
        interval: false,
    },
];

impl Measure {
    /// What a table of its differences shows.
    pub(super) fn less(&self, other: &str) -> String {
        let (name, unit) = self.title.split_once(", ").unwrap_or((self.title, ""));
        // A difference of two percentages is no percentage.
        let unit =
            unit.strip_prefix('%').map_or_else(|| unit.to_owned(), |rest| format!("percentage points{rest}"));
        format!("{name} less that of {other}, {unit}")
    }

    /// The mean over texts as a cell of a table.
    pub(super) fn cell(&self, rows: &[&GridRow], seed: u64) -> String {
        match self.interval {
            true => estimate(over_texts(rows, self.quantity, seed), self.print),
            false => self.point(rows),
        }
    }

    /// The mean alone.
    pub(super) fn point(&self, rows: &[&GridRow]) -> String {
        optional(mean_over_texts(rows, self.quantity), self.print)
    }

    /// Whether any row has it.
    pub(super) fn is_in(&self, rows: &[&GridRow]) -> bool {
        rows.iter().any(|row| self.quantity.of(row).is_some())
    }
}

pub(super) fn three(value: f64) -> String {
    significant(value, 3)
}

/// A difference with its interval, and `*` where that excludes zero.
pub(super) fn marked(difference: Option<Estimate>, measure: &Measure) -> String {
    let Some(found) = difference else { return MISSING.to_owned() };
    let clear = found.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    format!("{}{}", estimate(difference, measure.print), if clear { " *" } else { "" })
}

/// How a table of differences is to be read.
pub(super) fn tell(table: &mut Table, measure: &Measure) {
    let better = if measure.title == KL.title { "Below" } else { "Above" };
    table.note(format!("{better} zero the first of the two is better. {DIFFERENCES}"));
}

/// How differences come about; said below every table of them.
pub(super) const DIFFERENCES: &str = "Differences are paired by text; * marks a 95 % interval that excludes zero, not \
corrected for the number of comparisons.";
