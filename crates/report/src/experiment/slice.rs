//! Slices: the rows of one experiment and model with equal axes, which one table may compare.

use super::failures::TOLERANCE;
use super::measure::Measure;
use super::quantity::{Quantity, difference, mean_over_texts};
use crate::difference::Difference;
use crate::policies::is_loose;
use crate::unique;
use bitkv_record::{AskedBudget, Axes, Experiment, GridRow, PolicyRole, ScoredTask};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Measured rows that may be compared with each other: those of one model with equal axes.
pub(super) struct Slice<'a> {
    pub(super) model: &'a str,
    pub(super) axes: Axes,
    rows: Vec<&'a GridRow>,
    /// The rows of each policy, in order of first appearance.
    by_policy: Vec<(&'a str, Vec<&'a GridRow>)>,
    /// The policies in the order of tables, once that is known.
    contenders: OnceCell<Vec<Contender<'a>>>,
}

/// A policy of a slice, as tables show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contender<'a> {
    pub(super) policy: &'a str,
    /// The name in tables.
    name: &'a str,
    pub(super) role: PolicyRole,
    oracle: bool,
    loose: bool,
    /// The largest number of draws of one text. Each text has the mean over its draws.
    draws: usize,
    /// The number of seeds over all texts.
    seeds: usize,
}

impl Contender<'_> {
    /// Returns whether the policy was drawn several times.
    pub(super) fn is_drawn(&self) -> bool {
        self.draws > 1
    }

    /// Returns the name with its marks, † and ‡, and the number of draws.
    pub(super) fn marked(&self) -> String {
        let seeds = match (self.draws, self.seeds) {
            (..=1, ..=1) => String::new(),
            (..=1, seeds) => format!(" (one of {seeds} draws per context)"),
            (draws, _) => format!(" (mean of {draws} draws)"),
        };
        let (oracle, loose) = (if self.oracle { " †" } else { "" }, if self.loose { " ‡" } else { "" });
        format!("{}{oracle}{loose}{seeds}", self.name)
    }
}

/// Returns the slices of one experiment's rows, by model and then by variant. Variants are in the order of
/// the definition, or of first appearance without a definition.
pub(super) fn slices<'a>(rows: &[&'a GridRow], defined: Option<&Experiment>) -> Vec<Slice<'a>> {
    let measured = || rows.iter().copied().filter(|row| row.error.is_none());
    let mut keys = unique(measured().map(|row| (row.model.as_str(), row.axes)));
    let models = unique(keys.iter().map(|(model, _)| *model));
    keys.sort_by_key(|(_, axes)| defined.map(|defined| defined.axes.rank(axes)));
    let model_keys = |model| keys.iter().filter(move |(name, _)| *name == model);
    let slice = |(model, axes): &(&'a str, Axes)| {
        Slice::new(model, *axes, measured().filter(|row| row.model == *model && row.axes == *axes).collect())
    };
    models.into_iter().flat_map(model_keys).map(slice).collect()
}

impl<'a> Slice<'a> {
    /// Returns a slice with these rows.
    fn new(model: &'a str, axes: Axes, rows: Vec<&'a GridRow>) -> Self {
        let mut by_policy: Vec<(&str, Vec<&GridRow>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for row in &rows {
            let place = *places.entry(&row.policy).or_insert_with(|| {
                by_policy.push((&row.policy, Vec::new()));
                by_policy.len() - 1
            });
            by_policy[place].1.push(row);
        }
        Self { model, axes, rows, by_policy, contenders: OnceCell::new() }
    }

    /// Returns the rows of a policy.
    fn of_policy(&self, policy: &str) -> &[&'a GridRow] {
        self.by_policy.iter().find(|(own, _)| *own == policy).map_or(&[], |(_, rows)| rows)
    }

    /// Returns the part of the slice with one task and, if given, one context length.
    pub(super) fn only(&self, task: ScoredTask, tokens: Option<usize>) -> Self {
        let chosen =
            |row: &&&GridRow| row.task == task && tokens.is_none_or(|tokens| row.context_tokens == tokens);
        Self::new(self.model, self.axes, self.rows.iter().filter(chosen).copied().collect())
    }

    /// Returns the rows of the slice.
    pub(super) fn rows(&self) -> &[&'a GridRow] {
        &self.rows
    }

    /// Returns whether the slice has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the budgets, largest first: fractions and ratios, then tokens, then bytes, then what each rule
    /// keeps, in the order in which rules first appear. The full budget is left out if it changed nothing,
    /// because the self-check says so.
    pub(super) fn budgets(&self) -> Vec<AskedBudget> {
        let rules = unique(self.rows.iter().filter_map(|row| match row.budget {
            AskedBudget::Realised(_, rule) => Some(rule),
            _ => None,
        }));
        let rank = |budget: &AskedBudget| match *budget {
            AskedBudget::Fraction(fraction) => (0, fraction),
            AskedBudget::Ratio(removed) => (0, 1.0 - removed),
            AskedBudget::Tokens(tokens) => (1, tokens as f64),
            AskedBudget::Bytes(bytes) => (2, bytes as f64),
            AskedBudget::Realised(fraction, rule) => {
                (3 + rules.iter().position(|other| *other == rule).unwrap_or_default(), fraction)
            }
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

    /// Returns the policies in order of first appearance, as rows name them.
    pub(super) fn policies(&self) -> Vec<&'a str> {
        self.by_policy.iter().map(|(policy, _)| *policy).collect()
    }

    /// Returns the policies by role, then by rising KL over the budgets at which all policies of the role
    /// were measured. Policies without KL are last. If there is no such budget, policies stay in order of
    /// first appearance.
    pub(super) fn contenders(&self) -> Vec<Contender<'a>> {
        self.contenders.get_or_init(|| self.ordered_by_role()).clone()
    }

    /// Returns the policies in the order of [`Self::contenders`].
    fn ordered_by_role(&self) -> Vec<Contender<'a>> {
        let contenders: Vec<Contender<'a>> =
            self.policies().into_iter().map(|policy| self.contender(policy)).collect();
        let mut roles = unique(contenders.iter().map(|contender| contender.role));
        roles.sort();
        let with_role =
            |role| contenders.iter().filter(move |contender| contender.role == role).copied().collect();
        roles.into_iter().flat_map(|role| self.ordered(with_role(role))).collect()
    }

    /// Returns the policy that keeps the full cache, if it was measured.
    pub(super) fn full(&self) -> Option<&'a str> {
        self.rows.iter().find(|row| row.role == PolicyRole::Full).map(|row| row.policy.as_str())
    }

    /// Returns a policy as the definition writes it. Empty in old rows.
    pub(super) fn written(&self, policy: &str) -> &'a str {
        self.of_policy(policy).first().map_or("", |row| row.written.as_str())
    }

    /// Returns a policy with what its rows say about it.
    pub(super) fn contender(&self, policy: &'a str) -> Contender<'a> {
        let rows = || self.of_policy(policy).iter();
        Contender {
            policy,
            name: rows().next().map_or(policy, |row| row.policy_name()),
            role: rows().next().map_or(PolicyRole::Method, |row| row.role),
            oracle: rows().any(|row| row.oracle),
            loose: rows().any(|row| is_loose(row)),
            draws: draws(rows().copied()),
            seeds: unique(rows().map(|row| row.seed)).len(),
        }
    }

    /// Sorts the policies of one role by rising KL.
    fn ordered(&self, contenders: Vec<Contender<'a>>) -> Vec<Contender<'a>> {
        let budgets = self.budgets();
        let kl = |contender: &Contender<'a>| -> Vec<Option<f64>> {
            let at =
                |budget: &AskedBudget| mean_over_texts(&self.at(contender.policy, *budget), Quantity::KL);
            budgets.iter().map(at).collect()
        };
        let measured = |values: &[Option<f64>]| values.iter().any(Option::is_some);
        let with_kl: Vec<(Contender<'a>, Vec<Option<f64>>)> =
            contenders.into_iter().map(|contender| (contender, kl(&contender))).collect();
        // A budget that only some policies have would rank them by its difficulty.
        let shared = |i: &usize| with_kl.iter().all(|(_, values)| !measured(values) || values[*i].is_some());
        let shared: Vec<usize> = (0..budgets.len()).filter(shared).collect();
        let rank = |values: &[Option<f64>]| match measured(values) {
            true => shared.iter().filter_map(|i| values[*i]).sum(),
            false => f64::INFINITY,
        };
        let mut ranked: Vec<(Contender<'a>, f64)> =
            with_kl.iter().map(|(contender, values)| (*contender, rank(values))).collect();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
        ranked.into_iter().map(|(contender, _)| contender).collect()
    }

    /// Returns the rows of a policy at a budget. The full cache is the same at every budget, so its rows at
    /// the full budget are returned if it has none at this one.
    pub(super) fn at(&self, policy: &str, budget: AskedBudget) -> Vec<&'a GridRow> {
        let rows_at = |budget| {
            self.of_policy(policy).iter().filter(|row| row.budget == budget).copied().collect::<Vec<_>>()
        };
        let found = rows_at(budget);
        if found.is_empty() && self.full() == Some(policy) { rows_at(AskedBudget::FULL) } else { found }
    }

    /// Returns a measure of one policy minus that of another.
    pub(super) fn difference(
        &self,
        [own, other]: [&str; 2],
        budget: AskedBudget,
        measure: &Measure,
    ) -> Option<Difference> {
        difference(&self.at(own, budget), &self.at(other, budget), measure.quantity)
    }

    /// Returns the number of texts or contexts, for captions.
    pub(super) fn texts(&self) -> usize {
        self.rows.iter().map(|row| (row.text.as_str(), row.context_tokens)).collect::<BTreeSet<_>>().len()
    }
}

/// Returns the largest number of seeds of one text at one budget.
fn draws<'r>(rows: impl Iterator<Item = &'r GridRow>) -> usize {
    let mut budgets: Vec<AskedBudget> = Vec::new();
    let mut seeds: BTreeMap<(&str, usize, usize), BTreeSet<u64>> = BTreeMap::new();
    for row in rows {
        let budget = budgets.iter().position(|other| *other == row.budget).unwrap_or_else(|| {
            budgets.push(row.budget);
            budgets.len() - 1
        });
        seeds.entry((&row.text, row.context_tokens, budget)).or_default().insert(row.seed);
    }
    seeds.values().map(BTreeSet::len).max().unwrap_or(0)
}

/// Returns the heading of a budget's group.
pub(super) fn heading(budget: AskedBudget) -> String {
    format!("budget {budget}")
}

/// Returns a label with a comma before it, empty if the label is.
pub(super) fn with_comma(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!(", {label}") }
}
