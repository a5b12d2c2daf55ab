//! The JSON document of `bitkv bench`.
//!
//! A [`Throughput`] has one [`ThroughputRow`] per test and number of threads. The [`Ceilings`] are what the
//! machine can reach, and [`MemoryUse`] says what the memory was used for. A [`PrefillFit`] says how the time
//! of a prefill grows with its length.

use serde::{Deserialize, Serialize};

use crate::{ContentError, Machine, RecordError, Timed, json};

const KIND: &str = "throughput measurement";

/// One run of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// The version of the suite and of its sources.
    pub versions: Versions,
    /// The machine.
    pub machine: Machine,
    /// The instruction set in use: the one in `BITKV_ISA`, or the best of the machine.
    pub isa: String,
    /// The shape of the model.
    pub model: ModelShape,
    /// How the tests were run.
    pub method: Method,
    /// One row per test and number of threads.
    pub rows: Vec<ThroughputRow>,
    /// The ceilings with the largest number of threads.
    pub ceilings: Ceilings,
    /// The ceilings, one entry per number of threads.
    pub ceilings_by_threads: Vec<Ceilings>,
    /// What the memory was used for.
    pub memory: MemoryUse,
    /// The largest resident memory of the process after the first pass over all tests, before the buffer for
    /// the ceilings is allocated, or `None` if the operating system does not report it.
    pub peak_rss_bytes: Option<u64>,
    /// How the time of a prefill grows with its length, one fit per number of threads. Empty if no fit was
    /// asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fits: Vec<PrefillFit>,
}

/// The version of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The version of the suite.
    pub bitkv: String,
    /// The source revision that the program was built from; "unknown" if it was not built from a checkout.
    pub revision: String,
    /// Whether the sources had changes that are not in this revision.
    pub dirty: bool,
}

/// The shape of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// The name of the model.
    pub name: String,
    /// Whether the weights are random.
    pub random: bool,
    /// The number of layers that were run. It can be smaller than that of the named model.
    pub layers: usize,
    /// The width of the residual stream.
    pub hidden: usize,
    /// The width of the MLP.
    pub intermediate: usize,
    /// The number of query heads per layer.
    pub heads: usize,
    /// The number of KV heads per layer.
    pub kv_heads: usize,
    /// The number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// The largest number of positions. It is raised for a fit with random weights.
    pub positions: usize,
    /// The numeric format of the LM head.
    #[serde(rename = "head")]
    pub lm_head: String,
    /// Whether the weights are ternary, a control in full precision, or mixed. Empty in older files.
    #[serde(default)]
    pub weights: String,
    /// The arithmetic of the linear layers. Empty in older files.
    #[serde(default)]
    pub arithmetic: String,
}

/// How the tests were run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The number of passes over all tests that are not counted.
    pub warm_up: usize,
    /// The number of passes that are counted. Each pass runs every test once, so that a disturbance affects
    /// all tests.
    pub repeats: usize,
    /// Where the cache before a decode comes from: "synthetic" (random keys and values) or "prefill".
    pub fill: String,
    /// Which tokens a budget keeps and how it is divided among heads, in words.
    #[serde(rename = "cut")]
    pub head_budgets: String,
}

/// The smallest, median and largest value of the repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The smallest value.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The largest value.
    pub max: f64,
}

impl Range {
    /// Returns the range of `values`; `None` if there are no values.
    pub fn new(values: &[f64]) -> Option<Range> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        Some(Range { min, median, max })
    }

    /// Returns the largest minus the smallest value, divided by the median.
    pub fn spread(&self) -> f64 {
        (self.max - self.min) / self.median
    }
}

/// One test with one number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThroughputRow {
    /// The test.
    pub test: Timed,
    /// The number of tokens that were read in the test.
    pub tokens: usize,
    /// The number of tokens that were read before the test, whether they were kept or not.
    pub depth: usize,
    /// The fraction of these tokens that the cache still holds, 0..1.
    pub budget: f64,
    /// What was observed during the test: "off" or the name of a probe.
    pub probes: String,
    /// The number of threads.
    pub threads: usize,
    /// Tokens per second.
    pub tokens_per_second: Range,
    /// The largest minus the smallest rate of the repeats, divided by their median.
    pub spread: f64,
    /// The seconds of each repeat, in order.
    pub seconds: Vec<f64>,
    /// The bytes of weights, LM head and cache that a decode reads per second, in the median; `None` for a
    /// prefill.
    pub bytes_per_second: Option<f64>,
    /// The additions and multiplications with ternary weights per second, in the median.
    pub ops_per_second: f64,
    /// `bytes_per_second` as a fraction of the ceiling of reading.
    pub read_fraction: Option<f64>,
    /// `ops_per_second` as a fraction of the int8 ceiling of the instruction set in use; `None` for a decode.
    pub ops_fraction: Option<f64>,
    /// How many seconds per token a decode after a cache takes longer than one after an empty cache: the time
    /// to read the cache. This is the median of the differences within each repeat; `None` if the decode
    /// after an empty cache was not tested.
    pub attention_seconds_per_token: Option<f64>,
    /// The number of entries in the cache before the test, over all layers and KV heads.
    pub cache_entries: u64,
    /// The bytes of keys and values in the cache before the test.
    pub cache_bytes: u64,
}

/// What the machine can reach, measured between the tests. All rates are medians over the repeats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceilings {
    /// The number of threads that worked at once.
    pub threads: usize,
    /// The bytes read per second: the better of one stream per thread, and several streams per thread with
    /// prefetch.
    pub read_bytes_per_second: f64,
    /// The bytes read per second with one stream per thread.
    pub read_one_stream_bytes_per_second: f64,
    /// The int8 multiplications and additions per second, with the widest vector instructions of the machine.
    pub int8_ops_per_second: f64,
    /// The same rate with AVX2 (`vpmaddubsw`).
    pub int8_avx2_ops_per_second: Option<f64>,
    /// The same rate with `vpdpbusd` on 256 bits.
    pub int8_vnni256_ops_per_second: Option<f64>,
    /// The same rate with `vpdpbusd` on 512 bits.
    pub int8_vnni512_ops_per_second: Option<f64>,
    /// The same rate with AMX tiles, when every operand is loaded.
    pub amx_int8_ops_per_second: Option<f64>,
    /// The bf16 operations per second with AMX tiles, when every operand is loaded.
    pub amx_bf16_ops_per_second: Option<f64>,
    /// The f32 operations per second with the widest fused multiply-add.
    pub f32_ops_per_second: f64,
}

/// What the memory was used for, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryUse {
    /// The packed ternary weights with their scales.
    #[serde(alias = "ternary_bytes")]
    pub linear_bytes: u64,
    /// The LM head. If it is tied to the embedding, this is the embedding.
    #[serde(rename = "head_bytes")]
    pub lm_head_bytes: u64,
    /// The embedding, if it is separate from the LM head.
    pub embedding_bytes: u64,
    /// The norms.
    pub norm_bytes: u64,
    /// The largest cache of all tests, full or compressed.
    pub cache_bytes: u64,
    /// The peak minus all of these: activations, logits, copies of caches, the program itself, or `None` if
    /// the peak is not known.
    pub rest_bytes: Option<i64>,
}

/// The time of a prefill as a function of its length: `seconds = linear * tokens + quadratic * tokens^2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefillFit {
    /// The number of threads.
    pub threads: usize,
    /// The linear coefficient, in seconds per token.
    pub linear_seconds_per_token: f64,
    /// The quadratic coefficient, in seconds per token squared.
    pub quadratic_seconds_per_token_squared: f64,
    /// The length in tokens above which the quadratic part is larger than the linear part; `None` if the
    /// quadratic coefficient is not above zero.
    pub equal_at_tokens: Option<f64>,
    /// The measured points of the fit.
    pub points: Vec<FitPoint>,
}

/// The prefill of one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitPoint {
    /// The length in tokens.
    pub tokens: usize,
    /// The median of the seconds.
    pub seconds: f64,
    /// The measured minus the fitted seconds, divided by the fitted seconds.
    pub residual: f64,
}

impl Throughput {
    /// Parses a measurement. `file` names the text in errors.
    ///
    /// # Errors
    /// Fails if the text is not such a measurement, or one of its rates is not above zero.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        let found: Self = json::parse(text, file, KIND)?;
        let is_rate = |rate: &f64| *rate > 0.0;
        match found.rows.iter().map(|row| row.tokens_per_second.min).find(|rate| !is_rate(rate)) {
            None => Ok(found),
            Some(rate) => {
                let reason = ContentError::NotARate { rate };
                Err(RecordError::Content { file: file.to_owned(), kind: KIND, reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ThroughputRow {
        ThroughputRow {
            test: Timed::Decode,
            tokens: 64,
            depth: 4096,
            budget: 0.2,
            probes: "off".into(),
            threads: 2,
            tokens_per_second: Range { min: 9.0, median: 10.0, max: 12.0 },
            spread: 0.3,
            seconds: vec![6.4, 7.1, 5.3],
            bytes_per_second: Some(1e10),
            ops_per_second: 4e10,
            read_fraction: Some(0.5),
            ops_fraction: None,
            attention_seconds_per_token: Some(0.004),
            cache_entries: 120_000,
            cache_bytes: 61_440_000,
        }
    }

    fn document() -> Throughput {
        Throughput {
            versions: Versions { bitkv: "0.1.0".into(), revision: "abc".into(), dirty: false },
            machine: Machine { cpu: "a processor".into(), cores: 2, simd: vec!["avx2".into()] },
            isa: "avx2".into(),
            model: ModelShape {
                name: "2b-4t".into(),
                random: true,
                layers: 30,
                hidden: 2560,
                intermediate: 6912,
                heads: 20,
                kv_heads: 5,
                vocabulary: 128_256,
                positions: 4096,
                lm_head: "exact".into(),
                weights: "ternary".into(),
                arithmetic: "int8".into(),
            },
            method: Method {
                warm_up: 1,
                repeats: 3,
                fill: "synthetic".into(),
                head_budgets: "the last".into(),
            },
            rows: vec![row()],
            ceilings: Ceilings { threads: 2, ..Ceilings::default() },
            ceilings_by_threads: vec![Ceilings { threads: 2, ..Ceilings::default() }],
            memory: MemoryUse {
                linear_bytes: 521,
                lm_head_bytes: 657,
                embedding_bytes: 0,
                norm_bytes: 1,
                cache_bytes: 61,
                rest_bytes: Some(-3),
            },
            peak_rss_bytes: Some(1237),
            fits: Vec::new(),
        }
    }

    #[test]
    fn a_document_reads_back_equal() {
        let fit = PrefillFit {
            threads: 1,
            linear_seconds_per_token: 0.01,
            quadratic_seconds_per_token_squared: 1e-6,
            equal_at_tokens: Some(1e4),
            points: vec![FitPoint { tokens: 512, seconds: 5.4, residual: 0.01 }],
        };
        for document in [document(), Throughput { fits: vec![fit], ..document() }] {
            let text = serde_json::to_string(&document).unwrap();
            assert_eq!(Throughput::from_json(&text, "bench.json").unwrap(), document);
        }
    }

    #[test]
    fn invalid_measurements_are_errors() {
        let mut stopped = document();
        stopped.rows[0].tokens_per_second.min = 0.0;
        let message =
            Throughput::from_json(&serde_json::to_string(&stopped).unwrap(), "bench.json").unwrap_err();
        assert!(message.to_string().contains("tokens_per_second.min = 0"), "{message}");
        let unknown_key = serde_json::to_string(&document()).unwrap().replacen("\"isa\"", "\"isb\"", 1);
        assert!(
            Throughput::from_json(&unknown_key, "bench.json").unwrap_err().to_string().contains("bench.json")
        );
    }

    #[test]
    fn a_range_has_minimum_median_and_maximum() {
        assert_eq!(Range::new(&[]), None);
        let range = Range::new(&[3.0, 1.0, 2.0, 6.0]).unwrap();
        assert_eq!((range.min, range.median, range.max, range.spread()), (1.0, 2.5, 6.0, 2.0));
    }
}
