//! How does the entropy of a head depend on length, and does calibration carry over?

use crate::cells::{MODELS, mean};
use crate::finding::Finding;
use crate::results::{newest, rows};
use crate::sentence::{Check, Sentence, list, percent, range, thousands};
use bitkv_record::HeadRow;
use bitkv_stats::spearman;
use std::collections::{BTreeMap, BTreeSet};

const STUDY: &str = "by-length";
const BY_REGISTER: &str = "by-length-and-register";
/// The bound of focused heads, bits.
const FOCUSED: f64 = 1.5;
/// The length at which registers are compared, tokens.
const REGISTER_LENGTH: usize = 512;

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    Finding { title: "Head entropies", sentences: sentences(), tables: Vec::new() }
}

fn sentences() -> Vec<Sentence> {
    let heads = &rows::<HeadRow>(&newest("head-entropies"), "heads.csv");
    let mut sentences: Vec<Sentence> = MODELS.iter().map(|model| rise(heads, model)).collect();
    sentences.extend([between_lengths(heads), between_registers(heads), odd_registers(heads)]);
    sentences
}

/// Returns the mean over texts of a value of every head, by layer and head.
fn profile(
    heads: &[HeadRow],
    is_chosen: impl Fn(&HeadRow) -> bool,
    value: fn(&HeadRow) -> Option<f64>,
) -> Vec<f64> {
    let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for row in heads.iter().filter(|row| is_chosen(row)) {
        values.entry((row.layer, row.head)).or_default().extend(value(row));
    }
    assert!(!values.is_empty(), "head-entropies has no such rows");
    values.values().map(|of_head| mean(of_head)).collect()
}

fn lengths(heads: &[HeadRow], model: &str) -> Vec<usize> {
    let own = heads.iter().filter(|row| row.study == STUDY && row.model == model);
    own.map(|row| row.context).collect::<BTreeSet<_>>().into_iter().collect()
}

fn at_length(heads: &[HeadRow], model: &str, length: usize, value: fn(&HeadRow) -> Option<f64>) -> Vec<f64> {
    profile(heads, |row| row.study == STUDY && row.model == model && row.context == length, value)
}

fn rise(heads: &[HeadRow], model: &str) -> Sentence {
    let lengths = lengths(heads, model);
    let bits = |length: &usize| at_length(heads, model, *length, |row| row.entropy_bits);
    let means: Vec<f64> = lengths.iter().map(|length| mean(&bits(length))).collect();
    let normalised: Vec<f64> = lengths
        .iter()
        .map(|length| mean(&at_length(heads, model, *length, |row| row.normalised_entropy)))
        .collect();
    let focused = |length: &usize| {
        let entropies = bits(length);
        entropies.iter().filter(|bits| **bits < FOCUSED).count() as f64 / entropies.len() as f64
    };
    let (first, last) = (lengths[0], lengths[lengths.len() - 1]);
    let (low, high) = range(&normalised);
    let shares = (focused(&first), focused(&last));
    Sentence::new(
        "With {}, the mean rises from {} bits at {} tokens to {} bits at {}, while H / log2 n is between {} \
         and {}, and the share of heads below {} bits falls from {} to {}.",
        &[
            &model,
            &format!("{:.2}", means[0]),
            &first,
            &format!("{:.2}", means[means.len() - 1]),
            &thousands(last),
            &format!("{low:.2}"),
            &format!("{high:.2}"),
            &FOCUSED,
            &percent(shares.0),
            &percent(shares.1),
        ],
        [
            Check::new(means.is_sorted(), format!("means of {}", list(&means))),
            Check::new(shares.0 > shares.1, format!("shares {shares:?}")),
        ],
    )
}

fn between_lengths(heads: &[HeadRow]) -> Sentence {
    let mut found: Vec<f64> = Vec::new();
    for model in MODELS {
        let profiles: Vec<Vec<f64>> = lengths(heads, model)
            .iter()
            .map(|length| at_length(heads, model, *length, |row| row.entropy_bits))
            .collect();
        for (i, profile) in profiles.iter().enumerate() {
            found.extend(profiles[i + 1..].iter().map(|other| spearman(profile, other).unwrap()));
        }
    }
    let (least, most) = range(&found);
    Sentence::new(
        "The rank correlation of profiles at two lengths is {} to {}.",
        &[&format!("{least:.2}"), &format!("{most:.2}")],
        [],
    )
}

/// Returns the rank correlation of every two registers at one length.
fn register_pairs(heads: &[HeadRow], model: &str) -> Vec<(String, String, f64)> {
    let own =
        |row: &HeadRow| row.study == BY_REGISTER && row.model == model && row.context == REGISTER_LENGTH;
    let registers: BTreeSet<&str> =
        heads.iter().filter(|row| own(row)).map(|row| row.register.as_str()).collect();
    let profiles: Vec<(&str, Vec<f64>)> = registers
        .into_iter()
        .map(|register| {
            (register, profile(heads, |row| own(row) && row.register == register, |row| row.entropy_bits))
        })
        .collect();
    let mut pairs = Vec::new();
    for (i, (first, own)) in profiles.iter().enumerate() {
        for (second, other) in &profiles[i + 1..] {
            pairs.push(((*first).to_owned(), (*second).to_owned(), spearman(own, other).unwrap()));
        }
    }
    pairs
}

fn between_registers(heads: &[HeadRow]) -> Sentence {
    let means =
        MODELS.map(|model| mean(&register_pairs(heads, model).iter().map(|pair| pair.2).collect::<Vec<_>>()));
    let worst = MODELS.map(|model| {
        let pairs = register_pairs(heads, model);
        let (first, second, correlation) = pairs.into_iter().min_by(|a, b| a.2.total_cmp(&b.2)).unwrap();
        format!("{correlation:.2} ({first} and {second}, {model})")
    });
    Sentence::new(
        "Between two registers at {} tokens it is {} ({}) and {} ({}) on average; the weakest pairs have {} \
         and {}.",
        &[
            &REGISTER_LENGTH,
            &format!("{:.2}", means[0]),
            &MODELS[0],
            &format!("{:.2}", means[1]),
            &MODELS[1],
            &worst[0],
            &worst[1],
        ],
        [],
    )
}

fn odd_registers(heads: &[HeadRow]) -> Sentence {
    let lowest = MODELS.map(|model| {
        let pairs = register_pairs(heads, model);
        let mut by_register: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (first, second, correlation) in &pairs {
            by_register.entry(first).or_default().push(*correlation);
            by_register.entry(second).or_default().push(*correlation);
        }
        let mut found: Vec<(String, f64)> =
            by_register.into_iter().map(|(register, values)| (register.to_owned(), mean(&values))).collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        found.truncate(2);
        found
    });
    let described = |found: &[(String, f64)]| list(found.iter().map(|(name, r)| format!("{name} ({r:.2})")));
    Sentence::new(
        "The registers with the lowest mean correlation with the others are {} with {}, and {} with {}.",
        &[&described(&lowest[0]), &MODELS[0], &described(&lowest[1]), &MODELS[1]],
        [Check::rising(&lowest[0]), Check::rising(&lowest[1])],
    )
}
