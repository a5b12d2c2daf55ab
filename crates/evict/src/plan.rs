//! What a policy keeps.

use crate::Shape;

/// The positions each head keeps, ascending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    shape: Shape,
    asked: usize,
    kept: Vec<Vec<u32>>,
    /// Where query heads keep sets of their own, as some published rules have it.
    query_kept: Option<Vec<Vec<u32>>>,
}

impl Plan {
    /// Keeps everything.
    pub fn everything(shape: Shape) -> Plan {
        let kept = vec![(0..shape.tokens as u32).collect(); shape.all_kv_heads()];
        Plan { shape, asked: shape.tokens * shape.all_kv_heads(), kept, query_kept: None }
    }

    /// One set for each KV head, layer-major, where `asked` tokens were asked for.
    pub fn from_kv_heads(shape: Shape, asked: usize, kept: Vec<Vec<u32>>) -> Plan {
        Plan { shape, asked, kept, query_kept: None }
    }

    /// One set for each query head, layer-major. A KV head must store the union over its group.
    pub fn from_query_heads(shape: Shape, asked: usize, sets: Vec<Vec<u32>>) -> Plan {
        let kept = sets.chunks(shape.group()).map(|group| union(group, shape.tokens)).collect();
        Plan { shape, asked, kept, query_kept: Some(sets) }
    }

    /// The cache that was planned for.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The positions that KV head `head` of `layer` keeps, ascending.
    ///
    /// # Panics
    /// When the cache has no such head, as indexing a slice does.
    pub fn kept(&self, layer: usize, head: usize) -> &[u32] {
        assert!(head < self.shape.kv_heads, "there is no KV head {head}");
        &self.kept[layer * self.shape.kv_heads + head]
    }

    /// The positions that query head `head` of `layer` attends to, ascending: its own set
    /// under a rule that has one for each query head, else that of its KV head.
    ///
    /// # Panics
    /// When the cache has no such head, as indexing a slice does.
    pub fn query_kept(&self, layer: usize, head: usize) -> &[u32] {
        assert!(head < self.shape.query_heads, "there is no query head {head}");
        match &self.query_kept {
            Some(sets) => &sets[layer * self.shape.query_heads + head],
            None => self.kept(layer, head / self.shape.group()),
        }
    }

    /// How many tokens each KV head keeps, layer-major.
    pub fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        self.kept.iter().map(Vec::len)
    }

    /// Tokens kept over all KV heads: what the cache really stores.
    pub fn total(&self) -> usize {
        self.counts().sum()
    }

    /// Tokens that the budget asked for, over all KV heads. Equal to [`Plan::total`] for
    /// every policy that conserves its budget.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// The part of the cache kept, 0..1.
    pub fn realised(&self) -> f64 {
        self.total() as f64 / (self.shape.tokens * self.shape.all_kv_heads()) as f64
    }
}

/// The positions in any of the sets, ascending.
fn union(sets: &[Vec<u32>], tokens: usize) -> Vec<u32> {
    let mut there = vec![false; tokens];
    sets.iter().flatten().for_each(|&p| there[p as usize] = true);
    (0..tokens as u32).filter(|&p| there[p as usize]).collect()
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
        assert_eq!((plan.asked(), plan.total(), plan.realised()), (4, 4, 0.4));
    }

    #[test]
    fn a_query_head_otherwise_attends_to_what_its_kv_head_keeps() {
        let plan = Plan::from_kv_heads(SHAPE, 3, vec![vec![0, 1], vec![4]]);
        assert_eq!((plan.query_kept(0, 1), plan.query_kept(0, 2)), (&[0, 1][..], &[4][..]));
        assert_eq!(Plan::everything(SHAPE).total(), 10);
    }
}
