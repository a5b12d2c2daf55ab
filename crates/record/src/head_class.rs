//! The published classes of attention heads, by mean attention entropy.

use crate::{HeadClass, Named};
use serde::{Deserialize, Serialize};

/// The upper bounds of the classes in bits, exclusive. A head at or above `mixed` is diffuse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The bound below which a head is a sink head.
    pub sink: f64,
    /// The bound below which the other heads are focused.
    pub focused: f64,
    /// The bound below which the other heads are moderate.
    pub moderate: f64,
    /// The bound below which the other heads are mixed.
    pub mixed: f64,
}

impl Thresholds {
    /// The bounds of the published code (`calibrate_entropy.py`, microsoft/BitNet pull request 497). The
    /// published counts follow from these bounds.
    pub const CODE: Self = Self { sink: 0.5, focused: 1.5, moderate: 3.0, mixed: 4.0 };

    /// The bounds printed in `VERIFICATION.md` of the same pull request. The published counts do not follow
    /// from them.
    pub const PRINTED: Self = Self { sink: 0.5, focused: 1.5, moderate: 2.5, mixed: 3.5 };

    /// Returns the class of a head with the mean entropy `entropy_bits`, in bits.
    pub fn classify(&self, entropy_bits: f64) -> HeadClass {
        match entropy_bits {
            h if h < self.sink => HeadClass::Sink,
            h if h < self.focused => HeadClass::Focused,
            h if h < self.moderate => HeadClass::Moderate,
            h if h < self.mixed => HeadClass::Mixed,
            _ => HeadClass::Diffuse,
        }
    }

    /// Returns the number of heads in each class. `entropies` are in bits, one per head.
    pub fn count(&self, entropies: impl IntoIterator<Item = f64>) -> ClassCounts {
        let mut counts = ClassCounts::default();
        for entropy in entropies {
            *counts.get_mut(self.classify(entropy)) += 1;
        }
        counts
    }

    /// Returns whether all bounds are above zero and each is higher than the one before.
    pub(crate) fn are_ordered(&self) -> bool {
        [0.0, self.sink, self.focused, self.moderate, self.mixed].is_sorted_by(|a, b| a < b)
    }
}

/// The number of heads in each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCounts {
    /// Sink heads.
    pub sink: usize,
    /// Focused heads.
    pub focused: usize,
    /// Moderate heads.
    pub moderate: usize,
    /// Mixed heads.
    pub mixed: usize,
    /// Diffuse heads.
    pub diffuse: usize,
}

impl ClassCounts {
    /// Returns the number of heads in one class.
    pub fn get(&self, class: HeadClass) -> usize {
        let mut copy = *self;
        *copy.get_mut(class)
    }

    /// Returns the number of heads in all classes.
    pub fn total(&self) -> usize {
        HeadClass::ALL.iter().map(|&class| self.get(class)).sum()
    }

    /// Returns the number of sink and focused heads together, those below the bound of focused heads.
    pub fn sink_or_focused(&self) -> usize {
        self.sink + self.focused
    }

    fn get_mut(&mut self, class: HeadClass) -> &mut usize {
        match class {
            HeadClass::Sink => &mut self.sink,
            HeadClass::Focused => &mut self.focused,
            HeadClass::Moderate => &mut self.moderate,
            HeadClass::Mixed => &mut self.mixed,
            HeadClass::Diffuse => &mut self.diffuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_class_above() {
        let class = |h| Thresholds::CODE.classify(h).name();
        assert_eq!(
            [class(0.0), class(0.499), class(0.5), class(1.5)],
            ["sink", "sink", "focused", "moderate"]
        );
        assert_eq!(
            [class(2.999), class(3.0), class(4.0), class(9.0)],
            ["moderate", "mixed", "diffuse", "diffuse"]
        );
    }

    #[test]
    fn the_two_published_sets_of_bounds_give_different_classes() {
        let entropies = [0.1, 1.0, 2.0, 2.7, 3.7];
        let code = Thresholds::CODE.count(entropies);
        let printed = Thresholds::PRINTED.count(entropies);
        assert_eq!(code, ClassCounts { sink: 1, focused: 1, moderate: 2, mixed: 1, diffuse: 0 });
        assert_eq!(printed, ClassCounts { sink: 1, focused: 1, moderate: 1, mixed: 1, diffuse: 1 });
        assert_eq!((code.total(), printed.total()), (5, 5));
        assert!(Thresholds::CODE.are_ordered() && Thresholds::PRINTED.are_ordered());
    }
}
