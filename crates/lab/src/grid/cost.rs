//! The cost of contexts, computed from shapes. Shards on different machines must agree on it, so it does not
//! depend on measured time. The unit is a million multiplications.

use bitkv_bitnet::Config;
use bitkv_record::{AskedBudget, MetricGroup};

use super::{
    estimate::GREEDY_TOKENS,
    job::{Cell, Job},
    unit::{Scored, Unit},
};

/// How many times longer a token takes if it is decoded alone: its weights are read for one token only.
const DECODE_FACTOR: f64 = 4.0;
const MILLION: f64 = 1e6;

/// Returns the cost of reading `tokens` tokens into an empty cache.
pub(super) fn prefill(config: &Config, tokens: usize) -> u64 {
    millions(read(config, tokens as f64, 0.0))
}

/// Returns the cost of a unit: its prefill and all its cells.
pub(super) fn unit(job: &Job, unit: &Unit) -> u64 {
    let config = job.loaded.config();
    let context = unit.context.len() as f64;
    // The sequences are the same for all cells, and a unit may have hundreds of cells.
    let scored: Vec<usize> = unit.scored.sequences().iter().map(Vec::len).collect();
    let cells: f64 = job.cells_of(unit).map(|cell| measured_cell(job, unit, cell, context, &scored)).sum();
    millions(read(config, context, 0.0) + cells)
}

/// Returns the multiplications of one cell after a context of `context` tokens. `scored` has the lengths of
/// the sequences that are read after eviction.
fn measured_cell(job: &Job, unit: &Unit, cell: &Cell, context: f64, scored: &[usize]) -> f64 {
    let config = job.loaded.config();
    let kept = kept_part(cell.budget, context, config) * context;
    let logits = (config.hidden_size * config.vocab_size) as f64;
    let scored: f64 =
        scored.iter().map(|&tokens| read(config, tokens as f64, kept) + logits * tokens as f64).sum();
    // A cell that evicts while it reads the context has a prefill of its own.
    let again = if cell.axes.when.prefill_chunk.is_some() { read(config, context, 0.0) } else { 0.0 };
    let is_text = matches!(unit.scored, Scored::Text { .. });
    let greedy = is_text && job.wants(MetricGroup::FreeRunning);
    let generated = if greedy { GREEDY_TOKENS as f64 * DECODE_FACTOR } else { 0.0 };
    scored + again + generated * (layer_multiplications(config) + logits)
}

/// Returns the multiplications of reading `tokens` tokens after `held` tokens, without logits.
fn read(config: &Config, tokens: f64, held: f64) -> f64 {
    let width = (config.num_hidden_layers * config.num_attention_heads * config.head_dim) as f64;
    tokens * layer_multiplications(config) + 2.0 * width * tokens * (held + tokens / 2.0)
}

/// Returns the number of weights in all layers. Each weight multiplies every token once.
fn layer_multiplications(config: &Config) -> f64 {
    let (queries, keys) =
        (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
    let attention = config.hidden_size * (2 * queries + 2 * keys);
    let mlp = 3 * config.hidden_size * config.intermediate_size;
    (config.num_hidden_layers * (attention + mlp)) as f64
}

/// Returns about how much of the context a budget keeps, from 0 to 1.
fn kept_part(budget: AskedBudget, context: f64, config: &Config) -> f64 {
    let part = match budget {
        AskedBudget::Fraction(part) | AskedBudget::Realised(part, _) => part,
        AskedBudget::Ratio(removed) => 1.0 - removed,
        AskedBudget::Tokens(tokens) => tokens as f64 / context,
        AskedBudget::Bytes(bytes) => {
            let token = 4 * config.head_dim * config.num_key_value_heads * config.num_hidden_layers;
            bytes as f64 / (token as f64 * context)
        }
    };
    part.clamp(0.0, 1.0)
}

/// Returns the number in millions, at least 1.
fn millions(multiplications: f64) -> u64 {
    (multiplications / MILLION).ceil().max(1.0) as u64
}
