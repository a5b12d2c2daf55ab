//! The bytes that measured cells need at the user's context length.

use bitkv_bitnet::{CachePrecision, Quantisation};
use bitkv_evict::{Budget, Need, Registry};
use bitkv_lab::{
    memory::{KeptCache, kv_bytes},
    reconstruction,
};
use bitkv_models::{LoadedModel, Shape};
use bitkv_record::KvFormat;
use bitkv_report::advice::{CellBytes, MeasuredCell};

/// What decides the bytes of cells.
pub(super) struct CellSizes<'a> {
    registry: &'a Registry,
    shape: &'a Shape,
    context: usize,
    /// The tokens that a repetition of the context adds to the cache; `None` if the model has too few
    /// positions.
    repeated: Option<usize>,
}

impl<'a> CellSizes<'a> {
    /// Returns what decides the bytes of cells at a context of `context` tokens. `loaded` is the model, whose
    /// tokenizer says how long a request to repeat the context is, if it is there.
    pub(super) fn new(
        registry: &'a Registry,
        shape: &'a Shape,
        loaded: Option<&LoadedModel>,
        context: usize,
    ) -> CellSizes<'a> {
        let positions = shape.config.max_position_embeddings;
        let repeated = reconstruction::added_tokens(positions, context, loaded);
        CellSizes { registry, shape, context, repeated }
    }

    /// Returns the bytes of a cell; `None` if its policy repeats the context, and the model cannot.
    pub(super) fn cell(&self, cell: &MeasuredCell) -> Option<CellBytes> {
        let repetition = match self.repeats(&cell.policy) {
            true => self.repetition(self.repeated?),
            false => 0,
        };
        Some(CellBytes { cache: self.cache(cell.kept, cell.kv), repetition })
    }

    /// Returns whether a policy repeats the context. One that this version does not know does not.
    fn repeats(&self, policy: &str) -> bool {
        let policy = self.registry.policy(policy);
        policy.is_ok_and(|policy| policy.needs().contains(Need::Reconstruction))
    }

    /// Returns the bytes of `added` tokens that are in the cache besides the context, in f16.
    fn repetition(&self, added: usize) -> u64 {
        let config = &self.shape.config;
        kv_bytes(config, self.context + added) - kv_bytes(config, self.context)
    }

    /// Returns the bytes of a cache that keeps the fraction `kept` of the tokens in the format `kv`.
    fn cache(&self, kept: f64, kv: KvFormat) -> u64 {
        let quantisation = match kv {
            KvFormat::F16 => Quantisation::None,
            KvFormat::Int8 => Quantisation::Int8,
            KvFormat::Int4 => Quantisation::Int4,
            KvFormat::Kivi4 => Quantisation::kivi(4),
            KvFormat::Kivi2 => Quantisation::kivi(2),
        };
        // The kept fraction of rows is in (0, 1].
        let budget = Budget::fraction(kept).unwrap_or(Budget::FULL);
        KeptCache { budget, precision: CachePrecision::F16, quantisation }
            .bytes(&self.shape.config, self.context)
    }
}
