//! What `bitkv bench` measured: rows of tokens per second, the machine's ceilings beside them, and memory.

use serde::{Deserialize, Serialize};

use crate::{ContentError, Machine, RecordError, Timed, json};

const KIND: &str = "throughput measurement";

/// One run of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// The suite's version, its revision, and whether the sources differed from that.
    pub versions: Versions,
    /// The machine.
    pub machine: Machine,
    /// The instruction set in use: what `BITKV_ISA` forces, or the machine's best.
    pub isa: String,
    /// What was run.
    pub model: ModelShape,
    /// How often, and on what.
    pub method: Method,
    /// One row for each test and number of threads.
    pub rows: Vec<ThroughputRow>,
    /// Ceilings with the most threads.
    pub ceilings: Ceilings,
    /// Ceilings for each number of threads.
    pub ceilings_by_threads: Vec<Ceilings>,
    /// Where the memory went.
    pub memory: MemoryUse,
    /// Largest resident memory of the process after the first pass over all tests, before the ceilings' own buffer is
    /// there; none where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// How the cost of a prefill grows with its length, if that was asked for; one for each number of threads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fits: Vec<PrefillFit>,
}

/// Where the binary came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Version of the suite.
    pub bitkv: String,
    /// Source revision the binary was built from; "unknown" when it was not built from a checkout.
    pub revision: String,
    /// Whether the sources differed from that revision.
    pub dirty: bool,
}

/// The model's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Its name.
    pub name: String,
    /// Whether its weights are random.
    pub random: bool,
    /// Layers run: fewer than the shape's own where it was cut.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Query heads.
    pub heads: usize,
    /// KV heads.
    pub kv_heads: usize,
    /// Number of tokens known.
    pub vocabulary: usize,
    /// Positions a sequence may have; raised for a fit of random weights.
    pub positions: usize,
    /// The output head's numbers.
    pub head: String,
}

/// How it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Passes over all tests that are not counted.
    pub warm_up: usize,
    /// Passes that are; each runs every test once, so that a disturbance falls on all of them.
    pub repeats: usize,
    /// Where the cache in front of a decode came from: "synthetic" (random keys and values) or "prefill".
    pub fill: String,
    /// Which tokens a budget keeps, in words.
    pub cut: String,
}

/// Least, median and greatest of the repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The least.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Range {
    /// Of at least one value; none where there is none.
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

    /// The greatest less the least, as a part of the median.
    pub fn spread(&self) -> f64 {
        (self.max - self.min) / self.median
    }
}

/// One test with one number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThroughputRow {
    /// What was timed.
    pub test: Timed,
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Tokens that had been through before, kept or not.
    pub depth: usize,
    /// The part of those that the cache still held, 0..1.
    pub budget: f64,
    /// What was observed meanwhile: "off" or the name of a probe.
    pub probes: String,
    /// Threads.
    pub threads: usize,
    /// Tokens a second.
    pub tokens_per_second: Range,
    /// The range of the repeats as a part of their median.
    pub spread: f64,
    /// Seconds of each repeat, in order.
    pub seconds: Vec<f64>,
    /// Bytes of weights, head and cache that a decode reads each second, in the median; none of a prefill.
    pub bytes_per_second: Option<f64>,
    /// Additions and multiplications with ternary weights each second, in the median.
    pub ops_per_second: f64,
    /// `bytes_per_second` as a part of the reading ceiling.
    pub read_fraction: Option<f64>,
    /// `ops_per_second` as a part of the int8 ceiling of the instruction set in use; none of a decode.
    pub ops_fraction: Option<f64>,
    /// Seconds a token that a decode behind a cache takes longer than one behind none, the median of the differences
    /// within each repeat: reading the cache. None without such a test beside it.
    pub attention_seconds_per_token: Option<f64>,
    /// Tokens that the cache holds in front of the test, over all layers and KV heads.
    pub cache_entries: u64,
    /// Bytes of keys and values that the cache holds in front of the test.
    pub cache_bytes: u64,
}

/// What the machine can do, measured between the tests; medians over the repeats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceilings {
    /// Threads that worked at once.
    pub threads: usize,
    /// Bytes read a second: the better of one stream and several with prefetch, a thread.
    pub read_bytes_per_second: f64,
    /// The same with one stream a thread.
    pub read_one_stream_bytes_per_second: f64,
    /// int8 multiplications and additions a second, by the widest vector instructions there are.
    pub int8_ops_per_second: f64,
    /// The same with AVX2 (`vpmaddubsw`).
    pub int8_avx2_ops_per_second: Option<f64>,
    /// The same with `vpdpbusd` on 256 bits.
    pub int8_vnni256_ops_per_second: Option<f64>,
    /// The same with `vpdpbusd` on 512 bits.
    pub int8_vnni512_ops_per_second: Option<f64>,
    /// The same with AMX tiles, loading every operand.
    pub amx_int8_ops_per_second: Option<f64>,
    /// bf16 operations a second with AMX tiles, loading every operand.
    pub amx_bf16_ops_per_second: Option<f64>,
    /// f32 operations a second with the widest fused multiply-add.
    pub f32_ops_per_second: f64,
}

/// Where the memory went, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryUse {
    /// Packed ternary weights with their scales.
    pub ternary_bytes: u64,
    /// The output head; it is the embedding where the two are tied.
    pub head_bytes: u64,
    /// An embedding besides the head.
    pub embedding_bytes: u64,
    /// Norms.
    pub norm_bytes: u64,
    /// The largest cache of all tests, full or cut.
    pub cache_bytes: u64,
    /// The peak less all of these: activations, logits, copies of caches, the program itself.
    pub rest_bytes: Option<i64>,
}

/// `seconds = linear * tokens + quadratic * tokens^2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefillFit {
    /// Threads.
    pub threads: usize,
    /// Seconds a token.
    pub linear_seconds_per_token: f64,
    /// Seconds a pair of tokens.
    pub quadratic_seconds_per_token_squared: f64,
    /// The length from which the quadratic part is the larger, in tokens; none where it is not above zero.
    pub equal_at_tokens: Option<f64>,
    /// The points that it was fitted to.
    pub points: Vec<FitPoint>,
}

/// A prefill of one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitPoint {
    /// Its length.
    pub tokens: usize,
    /// Median seconds.
    pub seconds: f64,
    /// Measured less fitted, as a part of the fitted.
    pub residual: f64,
}

impl Throughput {
    /// Parses a measurement; `file` names the text in errors.
    ///
    /// # Errors
    /// When it is not one, or a rate in it is not above zero.
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
                head: "exact".into(),
            },
            method: Method { warm_up: 1, repeats: 3, fill: "synthetic".into(), cut: "the last".into() },
            rows: vec![row()],
            ceilings: Ceilings { threads: 2, ..Ceilings::default() },
            ceilings_by_threads: vec![Ceilings { threads: 2, ..Ceilings::default() }],
            memory: MemoryUse {
                ternary_bytes: 521,
                head_bytes: 657,
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
    fn what_was_written_reads_back_equal() {
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
    fn what_is_no_measurement_is_refused() {
        let mut still = document();
        still.rows[0].tokens_per_second.min = 0.0;
        let said = Throughput::from_json(&serde_json::to_string(&still).unwrap(), "bench.json").unwrap_err();
        assert!(said.to_string().contains("tokens_per_second.min = 0"), "{said}");
        let more = serde_json::to_string(&document()).unwrap().replacen("\"isa\"", "\"isb\"", 1);
        assert!(Throughput::from_json(&more, "bench.json").unwrap_err().to_string().contains("bench.json"));
    }

    #[test]
    fn ranges() {
        assert_eq!(Range::new(&[]), None);
        let range = Range::new(&[3.0, 1.0, 2.0, 6.0]).unwrap();
        assert_eq!((range.min, range.median, range.max, range.spread()), (1.0, 2.5, 6.0, 2.0));
    }
}
