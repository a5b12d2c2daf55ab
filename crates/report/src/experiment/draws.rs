//! How much policies that choose at random differ from draw to draw.

use super::measure::KL;
use super::quantity::mean_over_texts;
use super::slice::{Contender, Slice};
use crate::policies::explain_marks;
use crate::table::Table;
use crate::unique;
use bitkv_record::{AskedBudget, GridRow};
use bitkv_stats::{Summary, median};

/// Returns the table of the KL of single draws of each random policy, or `None` if no policy has several
/// draws.
pub(super) fn spread(slice: &Slice<'_>, caption: &str) -> Option<Table> {
    let budgets: Vec<AskedBudget> =
        slice.budgets().into_iter().filter(|budget| *budget != AskedBudget::FULL).collect();
    let caption = format!("{caption}: {} of single draws, lowest / median / highest", KL.with_unit());
    let mut table = Table::with_number_columns(caption, "policy", &budgets);
    for contender in slice.contenders().into_iter().filter(Contender::is_drawn) {
        let cells = budgets.iter().map(|budget| cell(&slice.at(contender.policy, *budget)));
        table.row_if_any(contender.marked(), cells);
    }
    explain_marks(&mut table);
    table.note("Each draw is a mean over all texts. All other tables show the mean over draws.");
    table.unless_empty()
}

/// Returns the rows of each draw, in order of first appearance. A draw has the seed of its rows.
pub(crate) fn by_draw<'r>(rows: &[&'r GridRow]) -> Vec<Vec<&'r GridRow>> {
    let draw = |seed: u64| rows.iter().copied().filter(|row| row.seed == seed).collect();
    unique(rows.iter().map(|row| row.seed)).into_iter().map(draw).collect()
}

/// Returns the lowest, the median and the highest mean of the draws in these rows.
fn cell(rows: &[&GridRow]) -> String {
    let means = by_draw(rows).into_iter().filter_map(|draw| mean_over_texts(&draw, KL.quantity));
    let draws: Vec<f64> = means.collect();
    let Some((summary, median)) = Summary::new(&draws).zip(median(&draws)) else {
        return crate::format::MISSING.to_owned();
    };
    [summary.min, median, summary.max].map(|value| KL.print(value)).join(" / ")
}
