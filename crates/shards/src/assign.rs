//! Gives every context of a run to one of its shards.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Returns the shard of every context, counted from 0. `costs` has the estimated cost of each context, in any
/// unit.
///
/// The dearest context is given first, always to the shard that has the least to do (longest processing time
/// first, Graham 1969), so the largest shard is at most a third above the best possible division. The result
/// depends only on the arguments. A context is never divided, so shards are empty if there are more shards
/// than contexts.
///
/// # Panics
/// Panics if `shards` is 0.
pub fn assign(costs: &[u64], shards: u32) -> Vec<u32> {
    assert!(shards > 0, "a run has at least one shard");
    let mut dearest_first: Vec<usize> = (0..costs.len()).collect();
    dearest_first.sort_by_key(|&context| (Reverse(costs[context]), context));
    // The sum of the costs and the number of contexts of each shard. The number divides contexts that cost
    // nothing.
    let mut loads: BinaryHeap<Reverse<(u128, usize, u32)>> =
        (0..shards).map(|shard| Reverse((0, 0, shard))).collect();
    let mut assigned = vec![0; costs.len()];
    for context in dearest_first {
        let Some(Reverse((load, contexts, shard))) = loads.pop() else { break };
        assigned[context] = shard;
        loads.push(Reverse((load + u128::from(costs[context]), contexts + 1, shard)));
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the sum of the costs of each shard.
    fn loads(costs: &[u64], shards: u32) -> Vec<u64> {
        let mut loads = vec![0; shards as usize];
        for (cost, shard) in costs.iter().zip(assign(costs, shards)) {
            loads[shard as usize] += cost;
        }
        loads
    }

    #[test]
    fn shards_are_balanced_by_cost_and_not_by_count() {
        assert_eq!(assign(&[1, 1, 1, 1, 4], 2), [1, 1, 1, 1, 0]);
        assert_eq!(loads(&[7, 5, 4, 3, 3, 2], 3), [9, 8, 7]);
    }

    #[test]
    fn every_shard_is_at_most_a_third_above_the_mean_or_the_dearest_context() {
        let costs: Vec<u64> = (0..500u64).map(|i| 1 + i * i * 7919 % 1009).collect();
        for shards in [1, 2, 3, 8, 64, 499] {
            let loads = loads(&costs, shards);
            let least = (costs.iter().sum::<u64>() / u64::from(shards)).max(1009);
            assert!(loads.iter().all(|load| *load <= least * 4 / 3), "{shards}: {loads:?}");
        }
    }

    #[test]
    fn shards_without_contexts_are_empty() {
        assert_eq!(assign(&[5, 6], 4), [1, 0]);
        assert!(assign(&[], 4).is_empty());
        assert_eq!(assign(&[0, 0, 0], 3), [0, 1, 2]);
    }
}
