use std::collections::BTreeSet;

/// What a method reads, so that a run observes nothing that nobody asked for. The fields
/// are those of [`crate::Observation`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The cached keys.
    pub keys: bool,
    /// Attention summed over the prefill's queries.
    pub accumulated: bool,
    /// Lengths of the windows of last queries whose mean attention is read.
    pub windows: BTreeSet<usize>,
    /// Attention of queries yet to come. Only oracles read it.
    pub future: bool,
    /// Calibrated entropies.
    pub entropy: bool,
}

impl Needs {
    /// What either reads.
    pub fn union(mut self, other: Needs) -> Needs {
        self.keys |= other.keys;
        self.accumulated |= other.accumulated;
        self.windows.extend(other.windows);
        self.future |= other.future;
        self.entropy |= other.entropy;
        self
    }

    /// Whether only positions are read.
    pub fn is_empty(&self) -> bool {
        *self == Needs::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_has_what_either_has() {
        let a = Needs { keys: true, windows: [1, 32].into(), ..Needs::default() };
        let b = Needs { entropy: true, windows: [32, 64].into(), ..Needs::default() };
        let both = a.clone().union(b.clone());
        assert_eq!(
            both,
            Needs { keys: true, entropy: true, windows: [1, 32, 64].into(), ..Needs::default() }
        );
        assert_eq!(both, b.union(a));
        assert!(!both.is_empty() && Needs::default().is_empty());
    }
}
