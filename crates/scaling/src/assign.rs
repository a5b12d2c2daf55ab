//! The assignment of contexts to shards, as a run does it.

/// Microseconds of a second. Costs are whole numbers.
const MICROSECONDS: f64 = 1e6;

/// Returns the contexts of each shard, in the order of the run. `estimates` has the estimated seconds of each
/// context.
pub fn assign(estimates: &[f64], shards: usize) -> Vec<Vec<usize>> {
    let costs: Vec<u64> = estimates.iter().map(|seconds| (seconds * MICROSECONDS) as u64).collect();
    let mut owned = vec![Vec::new(); shards];
    for (context, shard) in bitkv_shards::assign(&costs, shards as u32).into_iter().enumerate() {
        owned[shard as usize].push(context);
    }
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
