//! What is measured, as lists show it.

use bitkv_record::{Metric, Named};

/// Which way a value is better.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Better {
    /// Higher values.
    Higher,
    /// Lower values.
    Lower,
    /// Neither: it describes.
    Neither,
}

impl Better {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Neither => "neither",
        }
    }
}

/// A measurement; docs/METRICS.md has its formula and how it misleads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listing {
    /// Name of its column in `rows.csv`, `timings.csv` or `heads.csv`.
    pub name: &'static str,
    /// What a definition lists under `metrics` to have it; none where every run has it, if it applies.
    pub group: Option<Metric>,
    /// Unit of its values.
    pub unit: &'static str,
    /// What values can be.
    pub range: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// What it is, in one line.
    pub about: &'static str,
}

impl Listing {
    /// The name of its group; empty where it has none.
    pub fn group_name(&self) -> &'static str {
        self.group.map_or("", Named::name)
    }
}

use Better::{Higher, Lower, Neither};

const KL: Option<Metric> = Some(Metric::Kl);
const FREE: Option<Metric> = Some(Metric::FreeRunning);
const ATTENTION: Option<Metric> = Some(Metric::Attention);
const ERROR: Option<Metric> = Some(Metric::OutputError);
const TIMING: Option<Metric> = Some(Metric::Timing);

/// Every measurement, in the order of docs/METRICS.md.
#[rustfmt::skip]
pub static METRICS: &[Listing] = &[
    Listing { name: "kl_nats", group: KL, unit: "nats per token", range: "0..", better: Lower, about: "KL divergence of the next token from the full cache's" },
    Listing { name: "agreement", group: KL, unit: "share of tokens", range: "0..1", better: Higher, about: "most likely next token as with the full cache" },
    Listing { name: "nll_nats", group: KL, unit: "nats per token", range: "0..", better: Lower, about: "negative log-likelihood of the text behind the cut" },
    Listing { name: "nll_difference", group: KL, unit: "nats per token", range: "any", better: Lower, about: "the same less that through the full cache" },
    Listing { name: "first_divergence", group: FREE, unit: "tokens", range: "0..64", better: Higher, about: "tokens of a greedy continuation before the first that the full cache's has not" },
    Listing { name: "matching_fraction", group: FREE, unit: "share of tokens", range: "0..1", better: Higher, about: "tokens of a greedy continuation that are the full cache's" },
    Listing { name: "attention_cosine", group: ATTENTION, unit: "cosine", range: "0..1", better: Higher, about: "attention row and its kept part, as published" },
    Listing { name: "retained_mass", group: ATTENTION, unit: "share of attention", range: "0..1", better: Higher, about: "attention of the last query on what was kept" },
    Listing { name: "output_error", group: ERROR, unit: "part of the norm", range: "0..", better: Lower, about: "error of the attention output" },
    Listing { name: "correct", group: None, unit: "answers", range: "0..questions", better: Higher, about: "answers of a retrieval task that were right" },
    Listing { name: "asked_entries", group: None, unit: "entries", range: "1..", better: Neither, about: "keys and values that the budget comes to" },
    Listing { name: "kept_entries", group: None, unit: "entries", range: "1..", better: Lower, about: "keys and values really kept" },
    Listing { name: "full_entries", group: None, unit: "entries", range: "1..", better: Neither, about: "keys and values of the uncut context" },
    Listing { name: "cache_bytes", group: None, unit: "bytes", range: "1..", better: Lower, about: "buffers of the cut cache, all metadata of its format counted" },
    Listing { name: "full_bytes", group: None, unit: "bytes", range: "1..", better: Neither, about: "buffers of the uncut cache in f16" },
    Listing { name: "peak_rss_bytes", group: TIMING, unit: "bytes", range: "1..", better: Lower, about: "most memory that the process ever had resident" },
    Listing { name: "plan_seconds", group: TIMING, unit: "seconds", range: "0..", better: Lower, about: "choosing what is kept" },
    Listing { name: "continuation_seconds", group: TIMING, unit: "seconds", range: "0..", better: Lower, about: "reading and scoring what follows the cut" },
    Listing { name: "decode_seconds_per_token", group: TIMING, unit: "seconds", range: "0..", better: Lower, about: "one token decoded alone through the cut cache" },
    Listing { name: "entropy_bits", group: None, unit: "bits", range: "0..log2(keys)", better: Neither, about: "attention entropy of a query head, in profiles" },
    Listing { name: "normalised_entropy", group: None, unit: "part of log2(keys)", range: "0..1", better: Neither, about: "the same by the most that it could be" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use bitkv_record::{GridRow, HeadRow, Row, TaskKind, TimingRow};

    const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md"));

    /// The first cells of the document's tables that are names in code quotes.
    fn documented() -> Vec<&'static str> {
        let first = |line: &'static str| line.strip_prefix("| `")?.split('`').next();
        let is_task = |name: &&str| TaskKind::ALL.iter().any(|task| task.name() == *name);
        DOCUMENT.lines().filter_map(first).filter(|name| !is_task(name)).collect()
    }

    #[test]
    fn the_document_and_the_list_name_the_same() {
        // Its table of tasks stands for `correct`.
        assert!(DOCUMENT.contains("`correct` of `questions`"));
        let listed: Vec<&str> = METRICS.iter().map(|m| m.name).filter(|name| *name != "correct").collect();
        assert_eq!(listed, documented());
    }

    #[test]
    fn every_name_is_that_of_a_column() {
        let columns = [GridRow::COLUMNS, TimingRow::COLUMNS, HeadRow::COLUMNS].concat();
        for metric in METRICS {
            assert!(columns.contains(&metric.name), "{}", metric.name);
            let timed = metric.group == Some(Metric::Timing);
            assert_eq!(
                timed,
                !GridRow::COLUMNS.contains(&metric.name) && TimingRow::COLUMNS.contains(&metric.name)
            );
        }
        for group in Metric::ALL {
            assert!(METRICS.iter().any(|metric| metric.group == Some(*group)), "{group}");
        }
    }

    /// A row of the document ends with the way that is better, where its table says so.
    #[test]
    fn the_document_says_the_same_of_which_way_is_better() {
        for metric in METRICS {
            let line = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{}` |", metric.name)));
            let last = line.and_then(|line| line.trim_end_matches(" |").rsplit(" | ").next());
            if let Some(word @ ("higher" | "lower")) = last {
                assert_eq!(metric.better.name(), word, "{}", metric.name);
            }
        }
        assert!(METRICS.iter().any(|metric| metric.better == Lower));
    }
}
