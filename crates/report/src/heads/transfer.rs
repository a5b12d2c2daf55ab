//! Rank correlations of head entropies between context lengths, registers (kinds of text) and texts.

use super::model::ModelProfiles;
use crate::table::Table;
use crate::unique;
use bitkv_record::HeadRow;
use bitkv_stats::spearman;

/// The largest number of columns of a matrix.
const WIDEST: usize = 8;

/// Returns tables of rank correlations between context lengths and, at the longest context, between registers
/// and between single texts.
pub(super) fn tables(study: &str, model: &ModelProfiles<'_>) -> Vec<Table> {
    let (rows, name) = (&model.rows, &model.name);
    let contexts: Vec<usize> = model.views.iter().filter_map(|view| view.context).collect();
    let mut tables = Vec::new();
    if contexts.len() > 1 {
        let entropies = |length: &usize| mean_entropies(rows, |row| row.context == *length);
        let names = contexts.iter().map(|length| format!("{length} tokens")).collect();
        let caption = format!("{study}, {name}: rank correlation of head entropies between context lengths");
        tables.push(matrix(caption, names, contexts.iter().map(entropies).collect()));
    }
    let longest = contexts.last().copied().unwrap_or(0);
    let rows: Vec<&HeadRow> = rows.iter().filter(|row| row.context == longest).copied().collect();
    let registers = unique(rows.iter().map(|row| row.register.as_str()));
    if registers.len() > 1 {
        let mean_of_register = |register: &&str| mean_entropies(&rows, |row| row.register == *register);
        let caption = format!(
            "{study}, {name}: rank correlation of head entropies between kinds of text (registers) at {longest} tokens"
        );
        let names: Vec<String> = registers.iter().map(|register| (*register).to_owned()).collect();
        let entropies: Vec<Vec<f64>> = registers.iter().map(mean_of_register).collect();
        tables.push(match registers.len() <= WIDEST {
            true => matrix(caption, names, entropies),
            false => with_others(caption, &names, &entropies),
        });
        tables.push(between_texts(study, name, &rows));
    }
    tables
}

/// Returns the entropy of every head in bits, as the mean over the texts of the wanted rows.
fn mean_entropies(rows: &[&HeadRow], wanted: impl Fn(&HeadRow) -> bool) -> Vec<f64> {
    let wanted: Vec<&HeadRow> = rows.iter().filter(|row| wanted(row)).copied().collect();
    let heads = unique(wanted.iter().map(|row| (row.layer, row.head)));
    let texts = unique(wanted.iter().map(|row| row.text.as_str())).len();
    let mut sums = vec![0.0; heads.len()];
    for row in wanted {
        let index = heads.iter().position(|head| *head == (row.layer, row.head)).unwrap_or(0);
        sums[index] += row.entropy_bits.unwrap_or(f64::NAN) / texts as f64;
    }
    sums
}

/// Returns a table of the correlation of every pair.
fn matrix(caption: String, names: Vec<String>, entropies: Vec<Vec<f64>>) -> Table {
    let mut table = Table::with_number_columns(caption, "between", &names);
    for (name, own) in names.iter().zip(&entropies) {
        let cells = entropies.iter().map(|other| correlation_text(spearman(own, other)));
        table.row(name.clone(), cells);
    }
    table
}

/// Returns a table for more registers than a matrix has columns: the mean correlation of each with the
/// others, and the lowest.
fn with_others(caption: String, names: &[String], entropies: &[Vec<f64>]) -> Table {
    let mut table = Table::titled(caption, "register|>mean with the others|>lowest|lowest with");
    for (i, name) in names.iter().enumerate() {
        let others = (0..names.len()).filter(|other| *other != i);
        let found: Vec<(f64, &String)> = others
            .filter_map(|other| Some((spearman(&entropies[i], &entropies[other])?, &names[other])))
            .collect();
        let mean = found.iter().map(|(r, _)| r).sum::<f64>() / found.len() as f64;
        let lowest = found.iter().min_by(|a, b| a.0.total_cmp(&b.0));
        let (r, other) = lowest.map_or((None, String::new()), |(r, other)| (Some(*r), (*other).clone()));
        table.push(vec![
            name.clone(),
            correlation_text(Some(mean).filter(|mean| mean.is_finite())),
            correlation_text(r),
            other,
        ]);
    }
    table
}

/// Formats a correlation. The text is empty if there is no correlation.
fn correlation_text(correlation: Option<f64>) -> String {
    correlation.map_or_else(String::new, |r| format!("{r:.3}"))
}

/// Returns the table of correlations between single texts, of the same register and of different registers.
fn between_texts(study: &str, model: &str, rows: &[&HeadRow]) -> Table {
    let texts = unique(rows.iter().map(|row| (row.register.as_str(), row.text.as_str())));
    let profiles: Vec<Vec<f64>> =
        texts.iter().map(|(_, text)| mean_entropies(rows, |row| row.text == *text)).collect();
    let mut found: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for (i, (own, _)) in texts.iter().enumerate() {
        for (j, (other, _)) in texts.iter().enumerate().skip(i + 1) {
            found[usize::from(own != other)].extend(spearman(&profiles[i], &profiles[j]));
        }
    }
    let caption = format!("{study}, {model}: rank correlation of head entropies between single texts");
    let mut table = Table::titled(caption, "pairs of texts|>pairs|>mean rank correlation|>lowest");
    for (name, correlations) in ["same register", "different registers"].iter().zip(found) {
        let mean = correlations.iter().sum::<f64>() / correlations.len() as f64;
        let lowest = correlations.iter().copied().fold(f64::INFINITY, f64::min);
        let number = |value: f64| if correlations.is_empty() { String::new() } else { format!("{value:.3}") };
        table.push(vec![(*name).to_owned(), correlations.len().to_string(), number(mean), number(lowest)]);
    }
    table
}
