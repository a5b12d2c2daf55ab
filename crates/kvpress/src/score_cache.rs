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
        let known = self.0.borrow().get(&key).cloned();
        // Nothing is borrowed while it computes: scores may be made of others that are known too.
        known.unwrap_or_else(|| {
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
    fn each_is_computed_once() {
        let (known, times) = (ScoreCache::default(), RefCell::new(0));
        let ask = |layer, part, method: &dyn Debug| {
            known.get_or_compute(layer, part, method, || {
                *times.borrow_mut() += 1;
                vec![vec![*times.borrow() as f32]]
            })
        };
        let first = ask(0, "scores", &Some(1));
        assert_eq!(ask(0, "scores", &Some(1)), first);
        for other in [ask(1, "scores", &Some(1)), ask(0, "parts", &Some(1)), ask(0, "scores", &Some(2))] {
            assert_ne!(other, first);
        }
        assert_eq!(*times.borrow(), 4);
    }
}
