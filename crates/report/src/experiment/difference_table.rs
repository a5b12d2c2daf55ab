//! Tables of paired differences, with stars and verdicts.

use super::measure::Measure;
use super::tested_table::{Entry, LEVEL, TestedTable, is_significant};
use crate::difference::Difference;
use crate::format::MISSING;
use crate::interval::{self, FEWEST_FOR_STARS};
use crate::table::Table;
use bitkv_stats::equivalence;

/// A cell of a table of differences.
#[derive(Clone)]
pub(super) enum Cell {
    /// A text that is not tested.
    Text(String),
    /// A difference with its interval, and a star if it is significant.
    Difference(Measure, Option<Difference>),
    /// The same, and in a second column whether the first policy is better, worse, or equivalent within a
    /// margin, in the unit of the quantity.
    Judged(Measure, Option<Difference>, f64),
}

/// A table of differences that is not printed yet.
pub(super) type DifferenceTable = TestedTable<Cell>;

impl DifferenceTable {
    /// Tests all differences and returns the printed table with the notes that say how to read it.
    pub(super) fn finish(self) -> Table {
        let tests = Tests::new(&self);
        let notes = notes(&self.cells().collect::<Vec<_>>(), &tests);
        let mut table = self.print(|cell, index| tests.print(cell, index));
        notes.into_iter().for_each(|note| table.note(note));
        table
    }

    /// Tests all differences and returns them with their results.
    pub(super) fn tested(&self) -> Vec<Tested<'_>> {
        let tests = Tests::new(self);
        let entries = self.entries();
        let compared = |name: &str| {
            let own = entries.iter().zip(&tests.differences).filter(|(_, p)| p.is_some());
            own.filter(|(entry, _)| entry.cell.difference().is_some_and(|(m, _)| m.name() == name)).count()
        };
        let names = crate::unique(entries.iter().filter_map(|entry| Some(entry.cell.difference()?.0.name())));
        let comparisons: Vec<(&str, usize)> = names.into_iter().map(|name| (name, compared(name))).collect();
        let tested = entries.iter().enumerate().filter_map(|(index, &Entry { group, row, column, cell })| {
            let (measure, difference) = cell.difference()?;
            let verdict = tests.verdict(measure, difference, cell.margin(), index);
            let verdict = if verdict == MISSING { String::new() } else { verdict };
            let comparisons = comparisons.iter().find(|(name, _)| *name == measure.name())?.1;
            Some(Tested { group, row, column, measure: *measure, difference, verdict, comparisons })
        });
        tested.collect()
    }
}

/// A difference of a table with its place and the result of its tests.
pub(super) struct Tested<'t> {
    pub(super) group: &'t str,
    pub(super) row: &'t str,
    pub(super) column: usize,
    pub(super) measure: Measure,
    pub(super) difference: &'t Difference,
    /// `better`, `worse`, `undecided`, equivalent within a margin, or both; empty for too few texts.
    pub(super) verdict: String,
    /// The number of comparisons of the same measure that the verdict is corrected for.
    pub(super) comparisons: usize,
}

/// The p-values of all cells of a table, corrected for the number of comparisons of their measure. The value
/// of a cell that is not tested is `None`.
struct Tests {
    differences: Vec<Option<f64>>,
    equivalences: Vec<Option<f64>>,
}

impl Tests {
    fn new(table: &DifferenceTable) -> Self {
        let difference = |cell: &Cell| {
            let (measure, found) = cell.difference()?;
            Some((measure.name(), found.p_value()?))
        };
        let equivalence = |cell: &Cell| match cell {
            Cell::Judged(measure, Some(found), margin) if found.is_testable() => {
                Some((measure.name(), equivalence(&found.values, *margin)?.p_value))
            }
            _ => None,
        };
        Self { differences: table.corrected(difference), equivalences: table.corrected(equivalence) }
    }

    /// Returns the printed columns of a cell. `index` is its place among all cells of the table.
    fn print(&self, cell: &Cell, index: usize) -> Vec<String> {
        match cell {
            Cell::Text(text) => vec![text.clone()],
            Cell::Difference(_, None) => vec![MISSING.to_owned()],
            Cell::Judged(_, None, _) => vec![MISSING.to_owned(); 2],
            Cell::Difference(measure, Some(found)) => vec![self.marked(measure, found, index)],
            Cell::Judged(measure, Some(found), margin) => {
                vec![self.marked(measure, found, index), self.verdict(measure, found, Some(*margin), index)]
            }
        }
    }

    /// Returns a difference with its interval, and with a star if it is significant.
    fn marked(&self, measure: &Measure, found: &Difference, index: usize) -> String {
        let star = if is_significant(self.differences[index]) { " *" } else { "" };
        format!("{}{star}", measure.print_estimate(found.estimate))
    }

    /// Returns whether the first policy is better or worse, equivalent, or both. Equivalence needs the test
    /// and the printed interval, which is wider than that of the test.
    fn verdict(&self, measure: &Measure, found: &Difference, margin: Option<f64>, index: usize) -> String {
        if !found.is_testable() {
            return MISSING.to_owned();
        }
        let is_within = |margin: f64| {
            let inside = |(low, high): (f64, f64)| -margin < low && high < margin;
            found.estimate.interval.is_some_and(inside)
        };
        let equivalent = |margin: &f64| is_significant(self.equivalences[index]) && is_within(*margin);
        let equivalent =
            margin.filter(equivalent).map(|margin| format!("equivalent within {}", measure.print(margin)));
        let different = is_significant(self.differences[index]);
        let different = different.then(|| match measure.is_better(found.estimate.value) {
            true => "better".to_owned(),
            false => "worse".to_owned(),
        });
        let both: Vec<String> = equivalent.into_iter().chain(different).collect();
        if both.is_empty() { "undecided".to_owned() } else { both.join(", ") }
    }
}

impl Cell {
    /// Returns the cell of a difference, with a verdict if there is a margin of equivalence.
    pub(super) fn new(measure: Measure, found: Option<Difference>, margin: Option<f64>) -> Self {
        match margin {
            Some(margin) => Cell::Judged(measure, found, margin),
            None => Cell::Difference(measure, found),
        }
    }

    /// Returns the margin of equivalence of a cell that has one.
    fn margin(&self) -> Option<f64> {
        match self {
            Cell::Judged(.., margin) => Some(*margin),
            _ => None,
        }
    }

    /// Returns the measure and the difference of a cell that has one.
    fn difference(&self) -> Option<(&Measure, &Difference)> {
        match self {
            Cell::Difference(measure, Some(found)) | Cell::Judged(measure, Some(found), _) => {
                Some((measure, found))
            }
            _ => None,
        }
    }
}

/// Returns the notes below the table.
fn notes(cells: &[&Cell], tests: &Tests) -> Vec<String> {
    let all: Vec<(&Measure, &Difference)> = cells.iter().filter_map(|cell| cell.difference()).collect();
    let Some(fewest) = all.iter().map(|(_, found)| found.values.len()).min() else { return Vec::new() };
    let mut notes = vec!["Differences are paired by text or context.".to_owned()];
    let tested = counts(cells, &tests.differences);
    if !tested.is_empty() {
        notes[0] += &format!(
            " * marks a p-value below {LEVEL} after Holm's correction for the comparisons in this table ({tested}). Intervals are \
             those of a single comparison."
        );
    }
    let judged = counts(cells, &tests.equivalences);
    if !judged.is_empty() {
        notes.push(format!(
            "Verdicts: \"better\" and \"worse\" are marked differences. \"Equivalent\" needs two one-sided t tests against the margin, \
             with a p-value below {LEVEL} after Holm's correction ({judged}), and a 95 % interval within the margin. All else is \
             \"undecided\"."
        ));
    }
    if let Some(most) = all.iter().map(|(_, found)| found.unpaired).max().filter(|most| *most > 0) {
        notes.push(format!("Some comparisons leave out texts that only one of the two has: {most} at most."));
    }
    notes.extend(interval::few_texts(fewest));
    if fewest < FEWEST_FOR_STARS {
        notes.push(format!(
            "Differences over fewer than {FEWEST_FOR_STARS} texts are not marked, because their intervals are too uncertain."
        ));
    }
    let effects = |name: &&str| {
        let own = all.iter().filter(|(measure, _)| measure.name() == *name);
        let effects = own.clone().filter_map(|(_, found)| found.detectable()).collect();
        detectable(own.clone().next()?.0, effects)
    };
    let names = crate::unique(all.iter().map(|(measure, _)| measure.name()));
    notes.extend(names.iter().filter_map(effects));
    notes
}

/// Returns how many cells of each measure were tested, such as `9 of KL, 9 of agreement`.
fn counts(cells: &[&Cell], p: &[Option<f64>]) -> String {
    let tested = || cells.iter().zip(p).filter(|(_, p)| p.is_some());
    let names = crate::unique(tested().filter_map(|(cell, _)| Some(cell.difference()?.0.name())));
    let count = |name: &str| {
        let own = tested().filter(|(cell, _)| cell.difference().is_some_and(|(m, _)| m.name() == name));
        format!("{} of {name}", own.count())
    };
    names.into_iter().map(count).collect::<Vec<_>>().join(", ")
}

/// Says which differences single comparisons of a measure can find at all.
fn detectable(measure: &Measure, mut effects: Vec<f64>) -> Option<String> {
    effects.sort_by(f64::total_cmp);
    let (least, most) = (*effects.first()?, *effects.last()?);
    let [least, median, most] =
        [least, bitkv_stats::median(&effects)?, most].map(|effect| measure.print(effect));
    Some(format!(
        "Minimum detectable effect: a plain t test of a single comparison finds a true difference in {} of {median}{} with 80 % \
         power (median of the comparisons; {least} to {most}). Marks need larger differences.",
        measure.name(),
        measure.difference_suffix()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::measure::{AGREEMENT, KL};
    use super::*;

    fn difference(values: &[f64]) -> Option<Difference> {
        Difference::new(values.to_vec(), 0)
    }

    /// Returns differences around a mean, with a spread of 1.
    fn around(mean: f64, texts: usize) -> Option<Difference> {
        let values: Vec<f64> = (0..texts).map(|i| mean + (i as f64 / (texts - 1) as f64 - 0.5)).collect();
        difference(&values)
    }

    fn table(cells: Vec<Vec<Cell>>) -> String {
        let columns: Vec<String> = (0..cells[0].len()).map(|i| format!("c{i}")).collect();
        let mut table = DifferenceTable::new(Table::with_number_columns("t", "row", columns));
        table.group("g");
        for (i, row) in cells.into_iter().enumerate() {
            table.row(format!("r{i}"), row);
        }
        table.finish().to_markdown()
    }

    #[test]
    fn stars_are_corrected_for_the_comparisons_of_a_measure() {
        // The p-value of this difference is between 0.05 / 40 and 0.05.
        let difference_cell = || Cell::Difference(KL, around(0.16, 20));
        let alone = table(vec![vec![difference_cell()]]);
        assert!(alone.contains(" \\* |") && alone.contains("(1 of KL)"), "{alone}");
        let many = table((0..40).map(|_| vec![difference_cell()]).collect());
        assert!(!many.contains("] \\* |") && many.contains("(40 of KL)"), "{many}");
        let other = table(vec![vec![difference_cell(), Cell::Difference(AGREEMENT, around(0.16, 20))]]);
        assert_eq!(other.matches("] \\* |").count(), 2, "each measure has a correction of its own: {other}");
    }

    #[test]
    fn few_texts_have_no_stars_and_fewer_no_interval() {
        let seven = table(vec![vec![Cell::Difference(KL, around(9.0, 7))]]);
        assert!(seven.contains('[') && !seven.contains("] \\* |"), "{seven}");
        assert!(seven.contains("fewer than 8 texts are not marked"), "{seven}");
        let four = table(vec![vec![Cell::Difference(KL, around(9.0, 4))]]);
        assert!(four.contains("| r0 | 9.00 |"), "{four}");
        assert!(four.contains("at least 5 are needed"), "{four}");
        let eight = table(vec![vec![Cell::Difference(KL, around(9.0, 8))]]);
        assert!(eight.contains("] \\* |") && !eight.contains("not marked"), "{eight}");
    }

    #[test]
    fn texts_of_only_one_policy_are_counted() {
        let unpaired = |unpaired| {
            let found = Difference::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], unpaired);
            table(vec![vec![Cell::Difference(KL, found)]])
        };
        assert!(unpaired(3).contains("leave out texts that only one of the two has: 3 at most"));
        assert!(!unpaired(0).contains("leave out"));
    }

    #[test]
    fn verdicts_name_the_margin() {
        let verdict = |mean: f64, margin: f64| {
            let found = around(mean, 20);
            let mut table = DifferenceTable::new(Table::with_number_columns("t", "row", ["c", "verdict"]));
            table.row("r".to_owned(), [Cell::Judged(KL, found, margin)]);
            table.finish().to_markdown()
        };
        assert!(verdict(0.0, 0.5).contains("| equivalent within 0.500 |"));
        assert!(verdict(0.3, 0.5).contains("| equivalent within 0.500, worse |"), "{}", verdict(0.3, 0.5));
        assert!(
            verdict(0.0, 0.5).contains("two one-sided t tests")
                && !table(vec![vec![Cell::Difference(KL, around(0.0, 20))]]).contains("one-sided")
        );
        assert!(verdict(0.0, 0.05).contains("| undecided |"));
        assert!(verdict(-2.0, 0.5).contains("| better |"), "a lower KL is better");
        assert!(verdict(2.0, 0.5).contains("| worse |"));
    }

    #[test]
    fn the_smallest_effect_that_can_be_found_is_below_the_table() {
        let text = table(vec![vec![Cell::Difference(KL, around(0.0, 20))]]);
        // (t_0.975 + t_0.8) s / sqrt n with 19 degrees of freedom: (2.093 + 0.861) * 0.3113 / sqrt 20.
        assert!(text.contains("a true difference in KL of 0.206 nats with 80 % power (median"), "{text}");
    }
}
