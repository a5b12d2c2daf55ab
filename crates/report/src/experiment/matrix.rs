//! Tables with a row for each policy and a column for each budget.

use super::measure::Measure;
use super::quantity::{Quantity, mean_over_texts};
use super::slice::{Contender, Slice};
use crate::format::MISSING;
use crate::interval;
use crate::policies::{self, explain_marks};
use crate::table::Table;
use crate::unique;
use bitkv_record::{AskedBudget, GridRow, PolicyRole};

/// Returns the table of one measure, with intervals if the measure has them.
pub(super) fn with_intervals(slice: &Slice<'_>, caption: &str, measure: &Measure) -> Table {
    let few = interval::few_texts(slice.texts());
    let title = if few.is_some() { measure.with_unit() } else { measure.title() };
    let mut table = table_of_means(slice, &format!("{caption}: {title}"), |rows| measure.cell(rows));
    few.into_iter().for_each(|note| table.note(note));
    table
}

/// Returns the table of one measure without intervals, for a terminal.
pub(super) fn without_intervals(slice: &Slice<'_>, caption: &str, measure: &Measure) -> Table {
    table_of_means(slice, &format!("{caption}: {}", measure.with_unit()), |rows| measure.point(rows))
}

/// Returns the table of the register (kind of text) with the highest KL. `None` if all texts have one
/// register.
pub(super) fn worst_register(slice: &Slice<'_>, caption: &str) -> Option<Table> {
    let registers = unique(slice.rows().iter().map(|row| row.register.as_str()));
    let worst = |rows: &[&GridRow]| {
        let mean = |register: &str| {
            let own: Vec<&GridRow> = rows.iter().copied().filter(|row| row.register == register).collect();
            mean_over_texts(&own, Quantity::KL)
        };
        let means = registers.iter().filter_map(|name| mean(name).map(|mean| (*name, mean)));
        let worst = means.max_by(|a, b| a.1.total_cmp(&b.1));
        worst.map_or_else(
            || MISSING.to_owned(),
            |(name, kl)| format!("{name} {}", super::measure::three_digits(kl)),
        )
    };
    let caption = format!("{caption}: the kind of text (register) with the highest KL, and that KL in nats");
    (registers.len() > 1).then(|| table_of_means(slice, &caption, worst))
}

/// Returns a table whose cells are computed from the rows of a policy at a budget. Rows without any value are
/// left out.
fn table_of_means(slice: &Slice<'_>, caption: &str, cell: impl Fn(&[&GridRow]) -> String) -> Table {
    let budgets = slice.budgets();
    by_policy(slice, caption, &budgets, |contender, i| cell(&slice.at(contender.policy, budgets[i])))
}

/// Returns the table of several measures at one budget, without intervals. Each column has its heading, its
/// measure and the slice with its rows.
pub(super) fn at_budget(
    slice: &Slice<'_>,
    caption: &str,
    budget: AskedBudget,
    columns: &[(String, &Measure, Slice<'_>)],
) -> Table {
    let titles: Vec<&String> = columns.iter().map(|(title, ..)| title).collect();
    by_policy(slice, caption, &titles, |contender, i| {
        let (_, measure, own) = &columns[i];
        measure.point(&own.at(contender.policy, budget))
    })
}

/// Returns a table with a row for each policy, in groups by role. A cell is computed from a policy and the
/// index of its column.
fn by_policy<T: std::fmt::Display>(
    slice: &Slice<'_>,
    caption: &str,
    titles: &[T],
    cell: impl Fn(Contender<'_>, usize) -> String,
) -> Table {
    let mut table = Table::with_number_columns(caption, "policy", titles);
    let mut role = None;
    for contender in slice.contenders() {
        // The full cache is first and needs no heading.
        if role.replace(contender.role) != Some(contender.role) && contender.role != PolicyRole::Full {
            table.group(policies::heading(contender.role));
        }
        table.row_if_any(contender.marked(), (0..titles.len()).map(|i| cell(contender, i)));
    }
    explain_marks(&mut table);
    table
}
