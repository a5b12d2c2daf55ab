//! What may stand in one table: the rows of one experiment and model whose other axes are equal.

use crate::compression::{FULL, Kind, TOLERANCE, with_marks};
use crate::interval::{self, Estimate};
use crate::unique;
use bitkv_record::{AskedBudget, Form, GridRow, KvFormat, Positions, ScoredTask, When};
use std::collections::BTreeMap;

/// The axes of a grid beside model, policy, budget, text and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    form: Form,
    when: When,
    positions: Positions,
    kv: KvFormat,
}

impl Variant {
    fn of(row: &GridRow) -> Self {
        Self { form: row.form, when: row.when, positions: row.positions, kv: row.kv }
    }

    /// The values of the axes on which `all` differ; empty where there is only one.
    pub(super) fn label(&self, all: &[Variant]) -> String {
        let differ = |of: fn(&Variant) -> String| all.iter().any(|other| of(other) != of(self));
        let axes: [fn(&Variant) -> String; 4] = [
            |v| format!("form {}", v.form),
            |v| format!("cut {}", v.when),
            |v| format!("positions {}", v.positions),
            |v| format!("KV {}", v.kv),
        ];
        axes.into_iter().filter(|of| differ(*of)).map(|of| of(self)).collect::<Vec<_>>().join(", ")
    }
}

/// Measured rows that may be compared with each other.
pub(super) struct Slice<'a> {
    pub(super) model: &'a str,
    pub(super) variant: Variant,
    rows: Vec<&'a GridRow>,
}

/// A policy of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contender<'a> {
    pub(super) policy: &'a str,
    oracle: bool,
    conserving: bool,
}

impl Contender<'_> {
    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.policy, self.oracle)
    }

    pub(super) fn marked(&self) -> String {
        with_marks(self.policy, self.oracle, self.conserving)
    }
}

/// The slices of one experiment's rows, by model and then by variant, in order of first appearance.
pub(super) fn slices<'a>(rows: &[&'a GridRow]) -> Vec<Slice<'a>> {
    let measured = || rows.iter().copied().filter(|row| row.error.is_none());
    let keys = unique(measured().map(|row| (row.model.as_str(), Variant::of(row))));
    let models = unique(keys.iter().map(|(model, _)| *model));
    let of_model = |model| keys.iter().filter(move |(name, _)| *name == model);
    let slice = |(model, variant): &(&'a str, Variant)| Slice {
        model,
        variant: *variant,
        rows: measured().filter(|row| row.model == *model && Variant::of(row) == *variant).collect(),
    };
    models.into_iter().flat_map(of_model).map(slice).collect()
}

impl<'a> Slice<'a> {
    /// Rows of one task; contexts of several lengths are several tasks.
    pub(super) fn only(&self, task: ScoredTask, tokens: Option<usize>) -> Self {
        let chosen =
            |row: &&&GridRow| row.task == task && tokens.is_none_or(|tokens| row.context_tokens == tokens);
        Self { rows: self.rows.iter().filter(chosen).copied().collect(), ..*self }
    }

    pub(super) fn rows(&self) -> &[&'a GridRow] {
        &self.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// From the most to the least of what was asked: fractions, then tokens, then bytes. Everything is left out where
    /// it changed nothing, which the self-check says.
    pub(super) fn budgets(&self) -> Vec<AskedBudget> {
        let rank = |budget: &AskedBudget| match *budget {
            AskedBudget::Fraction(fraction) => (0, fraction),
            AskedBudget::Tokens(tokens) => (1, tokens as f64),
            AskedBudget::Bytes(bytes) => (2, bytes as f64),
            AskedBudget::Realised(fraction, rule) => (3 + rule as usize, fraction),
        };
        let mut budgets = unique(self.rows.iter().map(|row| row.budget));
        budgets.sort_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(b.1.total_cmp(&a.1))
        });
        let changed = |row: &&GridRow| {
            row.budget == AskedBudget::FULL && row.kl_nats.is_some_and(|kl| kl.abs() > TOLERANCE)
        };
        if budgets.len() > 1 && !self.rows.iter().copied().any(|row| changed(&row)) {
            budgets.retain(|budget| *budget != AskedBudget::FULL);
        }
        budgets
    }

    /// By kind, then by rising KL over all budgets; what has no KL stays in order.
    pub(super) fn contenders(&self) -> Vec<Contender<'a>> {
        let contender = |policy: &'a str| {
            let own = || self.rows.iter().filter(|row| row.policy == policy);
            Contender {
                policy,
                oracle: own().any(|row| row.oracle),
                conserving: own().all(|row| row.conserving),
            }
        };
        let names = unique(self.rows.iter().map(|row| row.policy.as_str()));
        let mut contenders: Vec<Contender<'_>> = names.into_iter().map(contender).collect();
        // A budget that changes nothing would favour those that were measured at it.
        let budgets = self.budgets();
        let kl = |contender: &Contender<'_>| {
            let own = self.rows.iter().filter(|row| row.policy == contender.policy);
            let own = own.filter(|row| budgets.contains(&row.budget));
            let values: Vec<f64> = own.filter_map(|row| row.kl_nats).collect();
            if values.is_empty() { f64::INFINITY } else { values.iter().sum::<f64>() / values.len() as f64 }
        };
        contenders.sort_by(|a, b| a.kind().cmp(&b.kind()).then(kl(a).total_cmp(&kl(b))));
        contenders
    }

    /// The rows of a policy at a budget. The full cache is the same at every budget, so where it was measured at
    /// another one that stands for all.
    pub(super) fn at(&self, policy: &str, budget: AskedBudget) -> Vec<&'a GridRow> {
        let of = |budget| {
            let own = |row: &&&GridRow| row.policy == policy && row.budget == budget;
            self.rows.iter().filter(own).copied().collect::<Vec<_>>()
        };
        let found = of(budget);
        if found.is_empty() && policy == FULL { of(AskedBudget::FULL) } else { found }
    }

    /// How many texts or contexts there are, as a caption says it.
    pub(super) fn texts(&self) -> usize {
        unique(self.rows.iter().map(|row| (row.text.as_str(), row.context_tokens))).len()
    }
}

/// What was measured on each text, the mean over seeds where there are several.
pub(super) fn by_text<'a>(
    rows: &[&'a GridRow],
    of: impl Fn(&GridRow) -> Option<f64>,
) -> BTreeMap<(&'a str, usize), f64> {
    let mut sums: BTreeMap<(&str, usize), (f64, usize)> = BTreeMap::new();
    for row in rows {
        if let Some(value) = of(row) {
            let sum = sums.entry((row.text.as_str(), row.context_tokens)).or_default();
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }
    sums.into_iter().map(|(text, (sum, count))| (text, sum / count as f64)).collect()
}

/// Mean over texts, which are what is resampled.
pub(super) fn over_texts(
    rows: &[&GridRow],
    of: impl Fn(&GridRow) -> Option<f64>,
    seed: u64,
) -> Option<Estimate> {
    interval::mean(&by_text(rows, of).into_values().collect::<Vec<_>>(), seed)
}

/// The same without an interval.
pub(super) fn mean_over_texts(rows: &[&GridRow], of: impl Fn(&GridRow) -> Option<f64>) -> Option<f64> {
    interval::point(&by_text(rows, of).into_values().collect::<Vec<_>>())
}

/// A budget as the heading of a group.
pub(super) fn heading(budget: AskedBudget) -> String {
    format!("budget {budget}")
}
