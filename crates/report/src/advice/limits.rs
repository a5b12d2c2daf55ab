//! The limits that a cache must meet, and the memory of a model.

use bitkv_record::ScoredTask;

/// The limits that a user gives. Without any, everything meets them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// The most bytes of the cache after the prompt.
    pub cache_bytes: Option<u64>,
    /// The most bytes of weights, activations and cache together.
    pub total_bytes: Option<u64>,
    /// The largest mean KL from the full cache over texts, in nats.
    pub kl: Option<f64>,
    /// The largest loss of right answers, by task.
    pub losses: Vec<TaskLoss>,
}

/// The share of the full cache's right answers to a task that may be lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskLoss {
    /// The task.
    pub task: ScoredTask,
    /// The share that may be lost, 0..1.
    pub share: f64,
}

/// The bytes of a model at a context length.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// The parts of the weights, each with its name and its bytes.
    pub weights: Vec<(&'static str, u64)>,
    /// The bytes of activations.
    pub activations: u64,
    /// The bytes of the full cache in f16.
    pub full_cache: u64,
}

impl Memory {
    /// Returns the bytes of all weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Returns the bytes of weights, activations and a cache of `cache` bytes.
    pub fn total(&self, cache: u64) -> u64 {
        self.weight_bytes() + self.activations + cache
    }

    /// Returns the most bytes that are needed while the prompt is read. Nothing is evicted or quantised until
    /// then.
    pub fn peak(&self) -> u64 {
        self.total(self.full_cache)
    }
}

impl Limits {
    /// Returns whether there is a limit on memory.
    pub fn has_memory(&self) -> bool {
        self.cache_bytes.is_some() || self.total_bytes.is_some()
    }

    /// Returns whether there is a limit on quality.
    pub fn has_quality(&self) -> bool {
        self.kl.is_some() || !self.losses.is_empty()
    }

    /// Returns whether a cache of `bytes` bytes meets the limits on memory after the prompt.
    pub fn allow(&self, memory: &Memory, bytes: u64) -> bool {
        self.cache_bytes.is_none_or(|limit| bytes <= limit)
            && self.total_bytes.is_none_or(|limit| memory.total(bytes) <= limit)
    }

    /// Returns whether a peak of `bytes` bytes while the prompt is read meets the limit on total memory.
    pub fn allow_peak(&self, bytes: u64) -> bool {
        self.total_bytes.is_none_or(|limit| bytes <= limit)
    }
}
