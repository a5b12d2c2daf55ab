//! What every shard of a run is expected to cost.

use serde::{Deserialize, Serialize};

/// What one shard of a run is expected to cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedShard {
    /// The number of the shard, from 1.
    pub shard: usize,
    /// The number of contexts.
    pub contexts: usize,
    /// The number of rows of all kinds, without timings.
    pub rows: usize,
    /// The seconds that it takes with the CPUs of a task.
    pub seconds: f64,
    /// The peak bytes of memory.
    pub bytes: u64,
}

/// What every shard of a run is expected to cost, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan(pub Vec<PlannedShard>);

impl Plan {
    /// Returns the number of shards.
    pub fn shards(&self) -> usize {
        self.0.len()
    }

    /// Returns the number of rows of all shards.
    pub fn rows(&self) -> usize {
        self.0.iter().map(|shard| shard.rows).sum()
    }

    /// Returns the time limit of a task in minutes: twice the time of the longest shard and 5 minutes.
    pub(crate) fn limit_minutes(&self) -> u64 {
        let longest = self.0.iter().map(|shard| shard.seconds).fold(0.0, f64::max);
        ((2.0 * longest + 300.0) / 60.0).ceil() as u64
    }

    /// Returns the memory of a task in MiB: 1.3 times that of the largest shard and 1 GiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        let largest = self.0.iter().map(|shard| shard.bytes).max().unwrap_or(0);
        (1.3 * largest as f64 / f64::from(1 << 20)).ceil() as u64 + 1024
    }

    /// Returns the memory of the merge job in MiB: 1 GiB, and 4 KiB for each row, which is several times what
    /// a row takes.
    pub(crate) fn merge_memory_mib(&self) -> u64 {
        1024 + self.rows() as u64 / 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_a_margin_above_the_largest_shard() {
        let shard = |shard, seconds, mib: u64| PlannedShard {
            shard,
            contexts: 1,
            rows: 512,
            seconds,
            bytes: mib << 20,
        };
        let plan = Plan(vec![shard(1, 10.0, 2000), shard(2, 90.5, 1000)]);
        assert_eq!((plan.shards(), plan.rows()), (2, 1024));
        assert_eq!(plan.limit_minutes(), 9, "(2 * 90.5 + 300) / 60 = 8.02");
        assert_eq!(plan.memory_mib(), 2600 + 1024);
        assert_eq!(plan.merge_memory_mib(), 1024 + 4);
        assert_eq!(Plan(Vec::new()).limit_minutes(), 5);
    }
}
