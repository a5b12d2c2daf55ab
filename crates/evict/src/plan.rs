//! Plans: the positions that a policy keeps.

use crate::Shape;

/// The positions that each head keeps, ascending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    shape: Shape,
    asked: usize,
    kept: Vec<Vec<u32>>,
    /// The positions that each query head attends to, if a published rule chooses a set for each query head.
    query_kept: Option<Vec<Vec<u32>>>,
}

impl Plan {
    /// Returns the plan that keeps everything.
    pub fn everything(shape: Shape) -> Plan {
        let kept = vec![(0..shape.tokens as u32).collect(); shape.all_kv_heads()];
        Plan { shape, asked: shape.tokens * shape.all_kv_heads(), kept, query_kept: None }
    }

    /// Returns a plan with one set of positions for each KV head, in layer-major order. `asked` is the number
    /// of tokens that the budget asked for, over all KV heads.
    pub fn from_kv_heads(shape: Shape, asked: usize, kept: Vec<Vec<u32>>) -> Plan {
        Plan { shape, asked, kept, query_kept: None }
    }

    /// Returns a plan with one set of positions for each query head, in layer-major order. A KV head stores
    /// the union of the sets of its group.
    pub fn from_query_heads(shape: Shape, asked: usize, sets: Vec<Vec<u32>>) -> Plan {
        let kept = sets.chunks(shape.group()).map(|group| union(group, shape.tokens)).collect();
        Plan { shape, asked, kept, query_kept: Some(sets) }
    }

    /// Returns the shape of the cache that was planned.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the positions that KV head `head` of `layer` keeps, ascending.
    ///
    /// # Panics
    /// Panics if the cache does not have this head.
    pub fn kept(&self, layer: usize, head: usize) -> &[u32] {
        assert!(head < self.shape.kv_heads, "there is no KV head {head}");
        &self.kept[layer * self.shape.kv_heads + head]
    }

    /// Returns the positions that each KV head keeps, ascending, in layer-major order.
    pub fn kept_by_head(&self) -> impl Iterator<Item = &[u32]> {
        self.kept.iter().map(Vec::as_slice)
    }

    /// Returns the positions that query head `head` of `layer` attends to, ascending. They are its own set if
    /// the rule chooses one for each query head, and the set of its KV head otherwise.
    ///
    /// # Panics
    /// Panics if the cache does not have this head.
    pub fn query_kept(&self, layer: usize, head: usize) -> &[u32] {
        assert!(head < self.shape.query_heads, "there is no query head {head}");
        match &self.query_kept {
            Some(sets) => &sets[layer * self.shape.query_heads + head],
            None => self.kept(layer, head / self.shape.group()),
        }
    }

    /// Returns how many tokens each KV head keeps, in layer-major order.
    pub fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        self.kept.iter().map(Vec::len)
    }

    /// Returns the number of tokens kept over all KV heads, which is what the cache stores.
    pub fn total(&self) -> usize {
        self.counts().sum()
    }

    /// Returns the number of tokens that the budget asked for, over all KV heads. It is equal to
    /// [`Plan::total`] for every policy that conserves its budget.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Returns the fraction of the cache that is kept, 0..1.
    pub fn kept_fraction(&self) -> f64 {
        self.total() as f64 / (self.shape.tokens * self.shape.all_kv_heads()) as f64
    }
}

/// Returns the positions that are in any of the sets, ascending.
fn union(sets: &[Vec<u32>], tokens: usize) -> Vec<u32> {
    let mut is_kept = vec![false; tokens];
    sets.iter().flatten().for_each(|&p| is_kept[p as usize] = true);
    (0..tokens as u32).filter(|&p| is_kept[p as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { layers: 1, query_heads: 4, kv_heads: 2, tokens: 5, head_dim: 1 };

    #[test]
    fn a_kv_head_stores_what_any_of_its_query_heads_keeps() {
        let sets = vec![vec![0, 3], vec![3, 4], vec![1], vec![1]];
        let plan = Plan::from_query_heads(SHAPE, 4, sets);
        assert_eq!((plan.kept(0, 0), plan.kept(0, 1)), (&[0, 3, 4][..], &[1][..]));
        assert_eq!(plan.query_kept(0, 1), [3, 4]);
        let counts = (0..4).map(|head| plan.query_kept(0, head).len());
        assert_eq!(counts.collect::<Vec<_>>(), [2, 2, 1, 1]);
        assert_eq!((plan.asked(), plan.total(), plan.kept_fraction()), (4, 4, 0.4));
    }

    #[test]
    fn a_query_head_otherwise_attends_to_what_its_kv_head_keeps() {
        let plan = Plan::from_kv_heads(SHAPE, 3, vec![vec![0, 1], vec![4]]);
        assert_eq!((plan.query_kept(0, 1), plan.query_kept(0, 2)), (&[0, 1][..], &[4][..]));
        assert_eq!(Plan::everything(SHAPE).total(), 10);
    }
}
