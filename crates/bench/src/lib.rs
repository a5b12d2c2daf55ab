//! Measures how fast a model prefills and decodes, and what fraction that is of what the machine can do.
//!
//! [`measure`] takes a [`NamedModel`] and a [`Request`], and returns a [`Throughput`] record. A request lists
//! the lengths of prefills, what they observe ([`Probe`]), and decodes after a cache of some depth and
//! budget; [`Fill`] and [`HeadBudgets`] say what such a cache holds.
//!
//! Every pass runs each test once and then measures the ceilings of the machine. A disturbance thus affects
//! all tests of a pass, and the tests of one pass can be compared in pairs.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod cache;
mod ceilings;
mod error;
mod fit;
mod ids;
mod request;
mod rows;
mod test;

use bitkv_bitnet::{Arithmetic, Model, WeightKind};
use bitkv_progress::{Progress, Work};
use bitkv_record::{Method, ModelShape, Throughput};
use rayon::{ThreadPool, ThreadPoolBuilder};

use bitkv_models::provenance;

use self::{ceilings::Machine, test::Test};

pub use cache::{Fill, HeadBudgets};
pub use error::{Error, Result};
pub use request::{MOST_THREADS, Probe, Request};

/// A model and the name that the record gives it.
#[derive(Clone, Copy)]
pub struct NamedModel<'a> {
    /// The name in the record.
    pub name: &'a str,
    /// Whether its weights are random.
    pub random: bool,
    /// The model.
    pub model: &'a Model,
}

/// Runs every test of `request`: first the warm-up passes, which are not recorded, and then the recorded
/// ones.
///
/// # Errors
/// Fails if the request does not fit the model, or a thread cannot be started.
pub fn measure(model: &NamedModel<'_>, request: &Request, progress: &dyn Progress) -> Result<Throughput> {
    let config = model.model.config();
    request.check(config)?;
    let tests = request.tests();
    let pools = request.threads.iter().map(|threads| pool(*threads)).collect::<Result<Vec<_>>>()?;
    let mut seconds = vec![vec![Vec::new(); tests.len()]; pools.len()];
    let (mut peak, mut machine) = (None, None);
    let passes = request.warm_up + request.repeats;
    let steps = Work::steps(progress, "measuring", passes * pools.len() * tests.len());
    for pass in 0..passes {
        for (pool, seconds) in pools.iter().zip(&mut seconds) {
            for (test, seconds) in tests.iter().zip(seconds) {
                let took = pool.install(|| test.run(model.model, request))?;
                if pass >= request.warm_up {
                    seconds.push(took);
                }
                steps.advance();
            }
        }
        // The peak is read before the buffer of the ceilings is allocated, because the model does not need
        // that buffer.
        peak = peak.or_else(bitkv_bytes::peak_resident_bytes);
        if pass >= request.warm_up {
            machine.get_or_insert_with(|| Machine::new(&request.threads)).measure(&pools);
        }
    }
    steps.finish();
    let ceilings = machine.ok_or(Error::NoRepeats)?.medians();
    let rows = rows::all_rows(model.model, request, &tests, &seconds, &ceilings);
    Ok(Throughput {
        versions: provenance::versions(),
        machine: provenance::machine(),
        isa: bitkv_kernels::isa().name().into(),
        model: shape(model),
        method: Method {
            warm_up: request.warm_up,
            repeats: request.repeats,
            fill: request.fill.name().into(),
            head_budgets: request.head_budgets.description().into(),
        },
        fits: fit::all_fits(request, &rows),
        memory: rows::memory(model.model, &rows, peak),
        ceilings: ceilings.iter().max_by_key(|c| c.threads).cloned().ok_or(Error::NoThreads)?,
        ceilings_by_threads: ceilings,
        rows,
        peak_rss_bytes: peak,
    })
}

/// Starts a pool of `threads` threads.
fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|source| Error::Pool { threads, source })
}

fn shape(model: &NamedModel<'_>) -> ModelShape {
    let config = model.model.config();
    let floats = match model.model.arithmetic() {
        Arithmetic::F32 => "f32",
        Arithmetic::Bf16 => "bf16",
    };
    let (weights, arithmetic) = match model.model.weight_kind() {
        WeightKind::Ternary => ("ternary", "int8"),
        WeightKind::Control => ("control", floats),
        WeightKind::Mixed => ("mixed", floats),
    };
    ModelShape {
        name: model.name.into(),
        random: model.random,
        layers: config.num_hidden_layers,
        hidden: config.hidden_size,
        intermediate: config.intermediate_size,
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        vocabulary: config.vocab_size,
        positions: config.max_position_embeddings,
        lm_head: model.model.lm_head_precision().name().into(),
        weights: weights.into(),
        arithmetic: arithmetic.into(),
    }
}

#[cfg(test)]
mod tests {
    use bitkv_bitnet::{Cache, CacheShape, Checkpoint, Config, KvCache, Model};
    use bitkv_progress::Silent;
    use bitkv_record::{Throughput, Timed};

    use crate::{cache::prepare, *};

    fn model() -> Model {
        let json = r#"{"architectures":["BitNetForCausalLM"],"vocab_size":61,"hidden_size":48,"intermediate_size":64,
            "num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":3,"tie_word_embeddings":true,
            "max_position_embeddings":128}"#;
        let config = Config::from_json(json, "config.json").unwrap();
        Model::load(&Checkpoint::random(&config, 0)).unwrap()
    }

    fn request() -> Request {
        Request {
            prefill: vec![8, 20],
            probes: vec![Probe::Off, Probe::Entropy],
            fit: Vec::new(),
            decode: 4,
            depths: vec![0, 60],
            budgets: vec![1.0, 0.2],
            fill: Fill::Synthetic,
            head_budgets: HeadBudgets::Even,
            threads: vec![1, 2],
            warm_up: 1,
            repeats: 2,
        }
    }

    fn measured(request: &Request) -> Throughput {
        let model = model();
        measure(&NamedModel { name: "m", random: true, model: &model }, request, &Silent).unwrap()
    }

    /// Returns the number of tokens in each KV head, layer by layer.
    fn lengths(cache: &Cache) -> Vec<usize> {
        let CacheShape { layers, kv_heads, .. } = cache.shape();
        (0..layers)
            .flat_map(|layer| (0..kv_heads).map(move |head| (layer, head)))
            .map(|(l, h)| cache.len(l, h))
            .collect()
    }

    #[test]
    fn a_cache_holds_what_the_budget_says() {
        let model = model();
        for fill in [Fill::Synthetic, Fill::Prefill] {
            let prepare = |depth, budget, heads| prepare(&model, depth, budget, fill, heads).unwrap();
            let even = prepare(60, 0.2, HeadBudgets::Even);
            assert_eq!((even.tokens_seen(), lengths(&even)), (60, vec![12; 6]));
            assert_eq!(even.view(1, 2).positions, [0, 1, 2, 3, 52, 53, 54, 55, 56, 57, 58, 59]);
            assert_eq!(lengths(&prepare(60, 1.0, HeadBudgets::Uneven)), [60; 6]);
            // Half, all, and one and a half times 12. A different head is the longest in the next layer.
            assert_eq!(lengths(&prepare(60, 0.2, HeadBudgets::Uneven)), [6, 12, 18, 12, 18, 6]);
            // Every head holds at least one token and at most all of them.
            assert_eq!(lengths(&prepare(60, 0.9, HeadBudgets::Uneven))[..3].iter().sum::<usize>(), 3 * 54);
            assert_eq!(lengths(&prepare(60, 0.001, HeadBudgets::Uneven)), [1; 6]);
            assert_eq!(
                (
                    prepare(0, 0.2, HeadBudgets::Even).tokens_seen(),
                    lengths(&prepare(0, 0.2, HeadBudgets::Even))
                ),
                (0, vec![0; 6])
            );
        }
    }

    #[test]
    fn every_test_has_a_row_for_each_number_of_threads() {
        let document = measured(&request());
        let found: Vec<_> = document
            .rows
            .iter()
            .filter(|row| row.threads == 2)
            .map(|row| (row.test, row.tokens, row.probes.as_str(), row.depth, row.budget))
            .collect();
        let prefill = |tokens, probes| (Timed::Prefill, tokens, probes, 0, 1.0);
        let decode = |depth, budget| (Timed::Decode, 4, "off", depth, budget);
        assert_eq!(
            found,
            [
                prefill(8, "off"),
                prefill(8, "entropy"),
                prefill(20, "off"),
                prefill(20, "entropy"),
                decode(0, 1.0),
                decode(60, 1.0),
                decode(60, 0.2),
            ]
        );
        assert_eq!(document.rows.len(), 2 * found.len());
        assert!(document.rows.iter().all(|row| row.seconds.len() == 2 && row.tokens_per_second.min > 0.0));
        assert_eq!(document.ceilings_by_threads.iter().map(|c| c.threads).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(document.ceilings, document.ceilings_by_threads[1]);
        let text = serde_json::to_string(&document).unwrap();
        // Numbers that are read back may differ in their last digit.
        let read = Throughput::from_json(&text, "bench.json").unwrap();
        assert_eq!((read.rows.len(), read.memory, read.model), (14, document.memory, document.model));
    }

    #[test]
    fn bytes_and_operations_are_those_of_the_model() {
        let document = measured(&Request { threads: vec![1], ..request() });
        // Two layers, each with 2 matrices of 48 x 48, 2 of 24 x 48 and 3 of 48 x 64.
        let weights = 2.0 * (2 * 48 * 48 + 2 * 24 * 48 + 3 * 48 * 64) as f64;
        // A key and a value in f16, of 8 channels each.
        let entry = 2 * 2 * 8;
        for row in &document.rows {
            let operations = row.ops_per_second / row.tokens_per_second.median;
            assert!((operations - 2.0 * weights).abs() < 1e-6 * weights, "{operations}");
            let entries: u64 = if row.budget < 1.0 { 6 * 12 } else { 6 * row.depth as u64 };
            assert_eq!((row.cache_entries, row.cache_bytes), (entries, entries * entry));
            assert_eq!(row.read_fraction.is_some(), row.test == Timed::Decode);
            assert_eq!(row.ops_fraction.is_some(), row.test == Timed::Prefill);
            assert_eq!(row.attention_seconds_per_token.is_some(), row.depth > 0);
            let Some(bytes) = row.bytes_per_second else { continue };
            // One token is decoded before the clock starts. The four timed tokens read 2, 3, 4 and 5 new
            // entries per head.
            let cache = (row.cache_bytes + 6 * entry * (2 + 3 + 4 + 5) / 4) as f64;
            let memory = &document.memory;
            let expected = (memory.linear_bytes + memory.lm_head_bytes) as f64 + cache;
            let read = bytes / row.tokens_per_second.median;
            assert!((read - expected).abs() < 1e-6 * expected, "{read} {expected}");
        }
        assert_eq!(document.memory.lm_head_bytes, 2 * 61 * 48);
        assert_eq!(document.memory.embedding_bytes, 0, "the embedding is tied to the LM head");
        assert_eq!(document.memory.cache_bytes, 64 * 6 * entry);
    }

    #[test]
    fn a_fit_uses_only_the_lengths_of_the_fit() {
        let fit = vec![8, 16, 64];
        let request = Request { prefill: vec![8, 32], decode: 0, fit, threads: vec![1], ..request() };
        let document = measured(&request);
        let points: Vec<usize> = document.fits[0].points.iter().map(|point| point.tokens).collect();
        assert_eq!((document.fits.len(), points), (1, vec![8, 16, 64]));
        let fit = &document.fits[0];
        for point in &fit.points {
            let t = point.tokens as f64;
            let fitted = fit.linear_seconds_per_token * t + fit.quadratic_seconds_per_token_squared * t * t;
            assert!((point.seconds / fitted - 1.0 - point.residual).abs() < 1e-9);
        }
        assert!(measured(&Request { fit: Vec::new(), ..request }).fits.is_empty());
    }

    #[test]
    fn the_memory_of_a_request_grows_with_its_tokens_and_its_model() {
        let config = model().config().clone();
        let small = request().memory_bytes(&config);
        let long = Request { decode: 1 << 26, ..request() }.memory_bytes(&config);
        // Two layers of three KV heads of eight channels take 192 bytes for each token.
        assert!(small < 500 << 20 && long > small + (192 << 26), "{small} {long}");
        let wide = Config { vocab_size: 1 << 24, hidden_size: 1 << 20, ..config };
        assert!(request().memory_bytes(&wide) > 1 << 45);
    }

    #[test]
    fn requests_that_do_not_fit_the_model_are_refused() {
        let config = model().config().clone();
        type Change = fn(&mut Request);
        let refused = |change: Change| {
            let mut request = request();
            change(&mut request);
            request.check(&config).expect_err("it is refused").to_string()
        };
        let cases: [(Change, &str); 20] = [
            (
                |r| r.prefill = vec![129],
                "--prefill 129 is longer than the model's 128 positions: give at most 128",
            ),
            (|r| r.prefill = vec![0], "--prefill 0 measures nothing: give at least one token"),
            (
                |r| r.fit = vec![64, 256],
                "--fit 256 is longer than the model's 128 positions: give at most 128",
            ),
            (|r| r.fit = vec![64], "two lengths"),
            (
                |r| r.depths = vec![124],
                "--depth 124, one start token and --decode 4 are 129 positions, but the model has 128: give fewer",
            ),
            (|r| r.depths = vec![1 << 26], "positions, but the model has 128: give fewer"),
            (
                |r| r.depths = vec![usize::MAX],
                "--depth 18446744073709551615 is too many: give at most 67108864",
            ),
            (|r| r.decode = usize::MAX, "--decode 18446744073709551615 is too many"),
            (|r| r.fit = vec![1, usize::MAX], "--fit 18446744073709551615 is too many"),
            (|r| r.prefill = vec![usize::MAX], "--prefill 18446744073709551615 is too many"),
            (|r| r.warm_up = usize::MAX, "--warm-up 18446744073709551615 is too many: give at most 1000000"),
            (|r| r.repeats = usize::MAX, "--repeats 18446744073709551615 is too many"),
            (|r| r.budgets = vec![0.0], "--budget 0"),
            (|r| r.budgets = vec![1.5], "--budget 1.5"),
            (|r| r.budgets = vec![f64::NAN], "--budget NaN"),
            (|r| r.threads = vec![0], "--threads 0"),
            (|r| r.threads = Vec::new(), "--threads"),
            (|r| r.threads = vec![1 << 20], "--threads 1048576"),
            (|r| r.repeats = 0, "--repeats 0"),
            (|r| (r.prefill, r.decode) = (Vec::new(), 0), "nothing to measure"),
        ];
        for (change, expected) in cases {
            let message = refused(change);
            assert!(message.contains(expected) && message.lines().count() == 1, "{message} lacks {expected}");
        }
        let mut longest = request();
        (longest.prefill, longest.depths) = (vec![128], vec![123]);
        longest.check(&config).unwrap();
    }
}
