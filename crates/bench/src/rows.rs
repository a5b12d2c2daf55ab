//! Turns the seconds of the tests into rows of rates, and accounts for the memory.

use bitkv_bitnet::{CachePrecision, CacheShape, Model, WeightKind};
use bitkv_record::{Ceilings, MemoryUse, Range, ThroughputRow, Timed};

use crate::{Request, Test, ceilings::int8_ceiling};

/// Returns the rows of all tests, for each number of threads. `seconds` is
/// `[numbers of threads][tests][repeats]`.
pub(crate) fn all_rows(
    model: &Model,
    request: &Request,
    tests: &[Test],
    seconds: &[Vec<Vec<f64>>],
    ceilings: &[Ceilings],
) -> Vec<ThroughputRow> {
    let mut rows = Vec::new();
    for (ceilings, seconds) in ceilings.iter().zip(seconds) {
        // A decode after an empty cache: the time that a longer cache adds is spent in attention.
        let empty = tests.iter().position(|test| matches!(test, Test::Decode { depth: 0, .. }));
        let empty = empty.map(|index| &seconds[index][..]);
        for (test, seconds) in tests.iter().zip(seconds) {
            let mut row = row(model, request, test, seconds, ceilings);
            if let (Some(empty), true) = (empty, row.test == Timed::Decode && row.depth > 0) {
                let added: Vec<f64> =
                    seconds.iter().zip(empty).map(|(s, empty)| (s - empty) / row.tokens as f64).collect();
                row.attention_seconds_per_token = Range::new(&added).map(|range| range.median);
            }
            rows.push(row);
        }
    }
    rows
}

fn row(model: &Model, request: &Request, test: &Test, seconds: &[f64], ceilings: &Ceilings) -> ThroughputRow {
    let (timed, tokens, depth, budget, probes) = match *test {
        Test::Prefill { tokens, probe } => (Timed::Prefill, tokens, 0, 1.0, probe.name()),
        Test::Decode { tokens, depth, budget } => (Timed::Decode, tokens, depth, budget, "off"),
    };
    let rates: Vec<f64> = seconds.iter().map(|s| tokens as f64 / s).collect();
    let rate = Range::new(&rates).unwrap_or(Range { min: 0.0, median: 0.0, max: 0.0 });
    let entries = entries(request, CacheShape::from_config(model.config()), depth, budget);
    let entry = 2 * model.config().head_dim * CachePrecision::default().bytes();
    let read = (timed == Timed::Decode).then(|| {
        let parts = model.weight_breakdown();
        let shape = CacheShape::from_config(model.config());
        // One token is decoded before the clock starts, and each token also reads its own entry.
        let mean_new = 1.0 + (tokens as f64 + 1.0) / 2.0;
        let cache = entries as f64 + mean_new * (shape.layers * shape.kv_heads) as f64;
        // An int8 LM head also multiplies a few rows exactly; these are not counted.
        rate.median * ((parts.linear + parts.lm_head) as f64 + cache * entry as f64)
    });
    let operations = rate.median * 2.0 * linear_weights(model) as f64;
    let prefill = timed == Timed::Prefill;
    ThroughputRow {
        test: timed,
        tokens,
        depth,
        budget,
        probes: probes.into(),
        threads: ceilings.threads,
        tokens_per_second: rate,
        spread: rate.spread(),
        seconds: seconds.to_vec(),
        bytes_per_second: read,
        ops_per_second: operations,
        read_fraction: read.map(|read| read / ceilings.read_bytes_per_second),
        ops_fraction: int8_ceiling(bitkv_kernels::isa(), ceilings)
            .filter(|_| prefill && model.weight_kind() == WeightKind::Ternary)
            .map(|c| operations / c),
        attention_seconds_per_token: None,
        cache_entries: entries,
        cache_bytes: entries * entry as u64,
    }
}

/// Returns how many entries the cache holds in all layers and KV heads before a test.
fn entries(request: &Request, shape: CacheShape, depth: usize, budget: f64) -> u64 {
    let layer = |layer| match budget < 1.0 {
        true => request.head_budgets.kept(depth, budget, shape, layer).iter().sum(),
        false => depth * shape.kv_heads,
    };
    (0..shape.layers).map(layer).sum::<usize>() as u64
}

fn linear_weights(model: &Model) -> usize {
    model.config().all_linears().map(|linear| linear.rows * linear.cols).sum()
}

/// Returns what the memory was used for. The largest cache belongs to the longest prefill or the deepest
/// decode.
pub(crate) fn memory(model: &Model, rows: &[ThroughputRow], peak: Option<u64>) -> MemoryUse {
    let (parts, shape) = (model.weight_breakdown(), CacheShape::from_config(model.config()));
    let entry = 2 * shape.head_dim * CachePrecision::default().bytes() * shape.layers * shape.kv_heads;
    let cache = rows.iter().map(|row| row.depth + row.tokens).max().unwrap_or_default() * entry;
    let known = parts.linear + parts.lm_head + parts.embedding + parts.norms + cache;
    MemoryUse {
        linear_bytes: parts.linear as u64,
        lm_head_bytes: parts.lm_head as u64,
        embedding_bytes: parts.embedding as u64,
        norm_bytes: parts.norms as u64,
        cache_bytes: cache as u64,
        rest_bytes: peak.map(|peak| peak as i64 - known as i64),
    }
}
