//! How often 95 % intervals of a mean contain the true mean, by method, population and number of texts.
//!
//! It prints the tables of docs/METRICS.md, section "Intervals":
//!
//! ```text
//! cargo run --release -p bitkv-stats --example coverage results/scorers-and-allocators/rows.csv.gz
//! ```

mod methods;
mod populations;
mod rows;

use bitkv_stats::{Rng, holm, median, paired_test, quantile};
use methods::{METHODS, intervals};
use populations::Population;
use std::process::ExitCode;
use std::thread;

/// The numbers of texts.
const COUNTS: [usize; 8] = [5, 6, 8, 10, 15, 22, 30, 50];

/// The number of samples of a population, shared among its sources.
const SAMPLES: usize = 20_000;

/// The number of samples of every pair of a report at [`REAL_TEXTS`] texts, where pairs are looked at one by
/// one.
const SAMPLES_OF_PAIR: usize = 200;

/// A p-value as small as the corrections of large tables need.
const SMALL_P: f64 = 0.001;

/// The number of texts of a run.
const REAL_TEXTS: usize = 22;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("Give the rows of a run: results/scorers-and-allocators/rows.csv.gz.");
        return ExitCode::FAILURE;
    };
    match rows::read(&path) {
        Ok(cells) => {
            print_tables(&populations::all(&cells));
            print_false_tables(&cells.reported_tables());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path} cannot be read: {error}.");
            ExitCode::FAILURE
        }
    }
}

/// Prints the coverage of every population and, for the pairs of reports, the spread over pairs.
fn print_tables(populations: &[Population]) {
    println!("| values | texts | {} |", METHODS.join(" | "));
    println!("|---|---|{}", "---|".repeat(METHODS.len()));
    let results: Vec<Vec<Coverage>> = thread::scope(|scope| {
        let runs = populations.iter().enumerate();
        let runs: Vec<_> = runs.map(|(i, of)| scope.spawn(move || coverages(of, i as u64))).collect();
        runs.into_iter().map(|run| run.join().expect("a simulation ends")).collect()
    });
    for (population, own) in populations.iter().zip(&results) {
        for coverage in own {
            let shares: Vec<String> =
                coverage.missed.iter().map(|missed| format!("{:.1}", 100.0 - percent(missed))).collect();
            println!("| {} | {} | {} |", population.name, coverage.texts, shares.join(" | "));
        }
    }
    for (population, own) in populations.iter().zip(&results).filter(|(of, _)| of.is_reported) {
        for coverage in own.iter().filter(|coverage| coverage.texts == REAL_TEXTS) {
            print_false_stars(population, coverage);
        }
    }
}

/// Prints the false stars of the pairs of a report, and the median width of the intervals.
fn print_false_stars(population: &Population, coverage: &Coverage) {
    println!("\n| {}, {} texts | {} |", population.name, coverage.texts, METHODS.join(" | "));
    println!("|---|{}", "---|".repeat(METHODS.len()));
    let line = |name: &str, values: Vec<String>| println!("| {name} | {} |", values.join(" | "));
    let of_pairs = |q: Option<f64>| {
        let shares = coverage.missed.iter().map(|missed| match q {
            Some(q) => {
                quantile(&missed.iter().map(|share| 100.0 * share).collect::<Vec<_>>(), q).unwrap_or(f64::NAN)
            }
            None => percent(missed),
        });
        shares.map(|share| format!("{share:.1}")).collect::<Vec<_>>()
    };
    line("false stars, mean over pairs, %", of_pairs(None));
    line("median pair, %", of_pairs(Some(0.5)));
    line("90th percentile of pairs, %", of_pairs(Some(0.9)));
    let widths = coverage.widths.iter().map(|width| format!("{:.2}", width / coverage.widths[0]));
    line("median width, relative to the first", widths.collect());
    println!("\n`paired_test` gives {:.2} % of them a p-value below {SMALL_P}.", 100.0 * coverage.small_p);
}

/// The number of samples of every table.
const SAMPLES_OF_TABLE: usize = 2000;

/// Prints how many tables of true differences of 0 have at least one star: a p-value below 0.05 after Holm's
/// correction, and without it. The last column is the share of comparisons that have a star. All differences
/// of a table are resampled with the same texts.
fn print_false_tables(tables: &[Vec<Vec<f64>>]) {
    println!(
        "\n| comparisons in the table | without correction, % | Holm's correction, % | false stars, % |"
    );
    println!("|---|---|---|---|");
    for (i, table) in tables.iter().enumerate() {
        let mut rng = Rng::for_part(2, i as u64);
        let (mut wrong, mut stars) = ([0; 2], 0);
        for _ in 0..SAMPLES_OF_TABLE {
            let p = null_p_values(table, &mut rng);
            let is_starred = |p: &[f64]| p.iter().any(|p| *p < 0.05);
            wrong[0] += usize::from(is_starred(&p));
            let corrected = holm(&p);
            wrong[1] += usize::from(is_starred(&corrected));
            stars += corrected.iter().filter(|p| **p < 0.05).count();
        }
        let [raw, corrected] = wrong.map(|count| 100.0 * count as f64 / SAMPLES_OF_TABLE as f64);
        let stars = 100.0 * stars as f64 / (SAMPLES_OF_TABLE * table.len()) as f64;
        println!("| {} | {raw:.1} | {corrected:.1} | {stars:.2} |", table.len());
    }
}

/// Returns the p-values of one sample of texts, if the true difference of every comparison is 0.
fn null_p_values(table: &[Vec<f64>], rng: &mut Rng) -> Vec<f64> {
    let texts = table.first().map_or(0, Vec::len);
    let drawn: Vec<usize> = (0..texts).map(|_| rng.below(texts)).collect();
    let p_value = |differences: &Vec<f64>| {
        let mean = differences.iter().sum::<f64>() / texts as f64;
        let centred: Vec<f64> = drawn.iter().map(|&text| differences[text] - mean).collect();
        paired_test(&centred).unwrap_or(f64::NAN)
    };
    table.iter().map(p_value).collect()
}

/// How often the intervals of each method missed the truth.
struct Coverage {
    texts: usize,
    /// `[methods][sources]`: the share of missed samples of each source of a population.
    missed: Vec<Vec<f64>>,
    /// `[methods]`: the median width, relative to the standard deviation of the source.
    widths: Vec<f64>,
    /// The share of samples whose `paired_test` of the truth has a p-value below [`SMALL_P`].
    small_p: f64,
}

/// Returns the coverage of a population for every number of texts.
fn coverages(population: &Population, part: u64) -> Vec<Coverage> {
    COUNTS.iter().map(|&texts| coverage(population, texts, part)).collect()
}

fn coverage(population: &Population, texts: usize, part: u64) -> Coverage {
    let sources = &population.sources;
    let samples = match population.is_reported && texts == REAL_TEXTS {
        true => SAMPLES_OF_PAIR,
        false => SAMPLES.div_ceil(sources.len()),
    };
    let mut rng = Rng::for_part(1, 100 * part + texts as u64);
    let mut missed = vec![vec![0.0; sources.len()]; METHODS.len()];
    let mut small = 0;
    let mut widths = vec![Vec::new(); METHODS.len()];
    for (i, source) in sources.iter().enumerate() {
        for _ in 0..samples {
            let values: Vec<f64> = (0..texts).map(|_| source.draw(&mut rng)).collect();
            let centred: Vec<f64> = values.iter().map(|value| value - source.mean).collect();
            small += usize::from(paired_test(&centred).is_some_and(|p| p < SMALL_P));
            for (method, (low, high)) in intervals(&values, &mut rng).into_iter().enumerate() {
                let is_missed = !(low..=high).contains(&source.mean);
                missed[method][i] += f64::from(u8::from(is_missed)) / samples as f64;
                widths[method].push((high - low) / source.deviation);
            }
        }
    }
    let widths = widths.iter().map(|widths| median(widths).unwrap_or(f64::NAN)).collect();
    let small_p = small as f64 / (samples * sources.len()) as f64;
    Coverage { texts, missed, widths, small_p }
}

/// Returns the mean of shares in percent.
fn percent(shares: &[f64]) -> f64 {
    100.0 * shares.iter().sum::<f64>() / shares.len() as f64
}
