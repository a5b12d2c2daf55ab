//! Reads the KL divergence of every text from the rows of a run.

use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;

/// The KL divergence of each text, by model, budget and policy. All cells have the same texts.
pub(crate) struct Cells(BTreeMap<(String, String), BTreeMap<String, Vec<f64>>>);

/// Reads the cells of a gzipped `rows.csv`. The full cache and the full budget are left out.
pub(crate) fn read(path: &str) -> Result<Cells, Box<dyn Error>> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path)?));
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header == name).ok_or(format!("it has no column {name}"))
    };
    let [model, budget, policy, text, kl] =
        [column("model")?, column("budget")?, column("policy")?, column("text")?, column("kl_nats")?];
    // Experiments of one run may have the same cell; by text, the last one counts.
    let mut found: BTreeMap<(String, String), BTreeMap<String, BTreeMap<String, f64>>> = BTreeMap::new();
    for row in reader.records() {
        let row = row?;
        if &row[budget] != "1.0" && &row[policy] != "full" && !row[kl].is_empty() {
            let cells = found.entry((row[model].to_owned(), row[budget].to_owned())).or_default();
            cells.entry(row[policy].to_owned()).or_default().insert(row[text].to_owned(), row[kl].parse()?);
        }
    }
    let texts = found.values().flat_map(BTreeMap::values).map(BTreeMap::len).max().unwrap_or(0);
    let with_all_texts = |cells: BTreeMap<String, BTreeMap<String, f64>>| {
        let whole = cells.into_iter().filter(|(_, by_text)| by_text.len() == texts);
        whole.map(|(policy, by_text)| (policy, by_text.into_values().collect())).collect()
    };
    Ok(Cells(found.into_iter().map(|(key, cells)| (key, with_all_texts(cells))).collect()))
}

/// Returns whether a report compares two policies: a policy with the uniform allocator and the same scorer,
/// or with random choice.
fn is_reported(own: &str, other: &str) -> bool {
    let scorer = |policy: &str| policy.split_once('+').map(|(_, scorer)| scorer.to_owned());
    let is_baseline = other.starts_with("uniform+") && !own.starts_with("uniform+");
    own != other && (other == "uniform+random" || is_baseline && scorer(own) == scorer(other))
}

impl Cells {
    /// Returns the values of every cell.
    pub(crate) fn values(&self) -> impl Iterator<Item = Vec<f64>> {
        self.0.values().flat_map(|policies| policies.values().cloned())
    }

    /// Returns the differences of the pairs that a report marks: each policy from the uniform allocator with
    /// the same scorer, and from random choice.
    pub(crate) fn reported_pairs(&self) -> impl Iterator<Item = Vec<f64>> {
        self.pairs(is_reported)
    }

    /// Returns the same differences in tables as a report has them: one table for each model and baseline,
    /// with a difference for each policy and budget, and all differences in the same order of texts.
    pub(crate) fn reported_tables(&self) -> Vec<Vec<Vec<f64>>> {
        let mut tables: BTreeMap<(&str, bool), Vec<Vec<f64>>> = BTreeMap::new();
        for ((model, _), policies) in &self.0 {
            for (own, a) in policies {
                for (other, b) in policies.iter().filter(|(other, _)| is_reported(own, other)) {
                    let differences = a.iter().zip(b).map(|(a, b)| a - b).collect();
                    tables.entry((model, other == "uniform+random")).or_default().push(differences);
                }
            }
        }
        tables.into_values().collect()
    }

    /// Returns the differences of every two policies.
    pub(crate) fn all_pairs(&self) -> impl Iterator<Item = Vec<f64>> {
        self.pairs(|own, other| own < other)
    }

    /// Returns the differences of the pairs that `is_pair` accepts, at the same model and budget.
    fn pairs(&self, is_pair: impl Fn(&str, &str) -> bool) -> impl Iterator<Item = Vec<f64>> {
        self.0.values().flat_map(move |policies| {
            let mut found = Vec::new();
            for (own, a) in policies {
                let others = policies.iter().filter(|(other, _)| is_pair(own, other));
                found.extend(others.map(|(_, b)| a.iter().zip(b).map(|(a, b)| a - b).collect()));
            }
            found
        })
    }
}
