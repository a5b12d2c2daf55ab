//! The assignment of contexts to shards: the longest first, each to the least loaded shard.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::time::Time;

/// Returns the contexts of each shard, in the order of the run. `estimates` has the estimated seconds of each
/// context. Among equals the first context and the first shard win, so that every process finds the same
/// assignment.
pub fn assign(estimates: &[f64], shards: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..estimates.len()).collect();
    order.sort_by(|a, b| estimates[*b].total_cmp(&estimates[*a]).then(a.cmp(b)));
    let mut owned = vec![Vec::new(); shards];
    let mut loads: BinaryHeap<Reverse<(Time, usize)>> =
        (0..shards).map(|i| Reverse((Time(0.0), i))).collect();
    for context in order {
        let Some(Reverse((load, shard))) = loads.pop() else { break };
        owned[shard].push(context);
        loads.push(Reverse((Time(load.0 + estimates[context]), shard)));
    }
    owned.iter_mut().for_each(|contexts| contexts.sort_unstable());
    owned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_context_has_a_shard_of_its_own() {
        assert_eq!(assign(&[1.0, 1.0, 5.0, 2.0, 1.0], 2), [vec![2], vec![0, 1, 3, 4]]);
    }

    #[test]
    fn shards_are_empty_if_contexts_run_out() {
        assert_eq!(assign(&[1.0, 2.0], 3), [vec![1], vec![0], vec![]]);
    }
}
