//! A [`ScoreCache`] holds scores that several presses and budgets share.

use std::{cell::RefCell, collections::BTreeMap, fmt::Debug, rc::Rc};

/// The scores of a layer, `[kv_heads][tokens]`.
pub(crate) type Scores = Vec<Vec<f32>>;

/// The scores that were computed for one observation. Several presses share them, and a press reuses them at
/// every budget.
#[derive(Debug, Default)]
pub(crate) struct ScoreCache(RefCell<BTreeMap<(usize, String), Rc<Scores>>>);

impl ScoreCache {
    /// Returns the result of `compute` for a layer, a method and a part of the method, and computes it once.
    /// The key is the `Debug` text of the method, which contains all of its options, so methods with
    /// different options do not share scores.
    pub(crate) fn get_or_compute(
        &self,
        layer: usize,
        part: &str,
        method: &dyn Debug,
        compute: impl FnOnce() -> Scores,
    ) -> Rc<Scores> {
        let key = (layer, format!("{part} {method:?}"));
        let cached = self.0.borrow().get(&key).cloned();
        // The map must not be borrowed during `compute`, because `compute` may read other cached scores.
        cached.unwrap_or_else(|| {
            let scores = Rc::new(compute());
            self.0.borrow_mut().insert(key, Rc::clone(&scores));
            scores
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_computed_once_per_layer_part_and_method() {
        let (cache, times) = (ScoreCache::default(), RefCell::new(0));
        let scores = |layer, part, method: &dyn Debug| {
            cache.get_or_compute(layer, part, method, || {
                *times.borrow_mut() += 1;
                vec![vec![*times.borrow() as f32]]
            })
        };
        let first = scores(0, "scores", &Some(1));
        assert_eq!(scores(0, "scores", &Some(1)), first);
        for other in
            [scores(1, "scores", &Some(1)), scores(0, "parts", &Some(1)), scores(0, "scores", &Some(2))]
        {
            assert_ne!(other, first);
        }
        assert_eq!(*times.borrow(), 4);
    }
}
