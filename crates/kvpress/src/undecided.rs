//! [`undecided()`] lists the positions whose eviction depends on a tie or on less than a rounding error.

use std::cell::{Cell, RefCell};

use bitkv_evict::{Budget, Error, Observation, Planner, Policy, Shape};

use crate::ties::Ties;

/// Returns the positions that a press keeps or evicts because of a difference of less than `tolerance`,
/// relative to the lowest score kept. Another implementation of the press may sum in another order and decide
/// these positions differently. The result is one ascending list for each KV head, `[layers * kv_heads]`; the
/// lists are empty if the policy is not a press.
///
/// # Errors
/// Fails as [`Policy::plan`] does.
pub fn undecided(
    policy: &Policy,
    seen: &Observation<'_>,
    budget: Budget,
    tolerance: f32,
) -> Result<Vec<Vec<u32>>, Error> {
    let planner = Planner::new(seen);
    let notes = planner.memo().get::<TieNotes>();
    notes.tolerance.set(Some(tolerance));
    planner.plan(policy, budget)?;
    let mut positions = notes.positions.take();
    positions.resize(seen.shape.all_kv_heads(), Vec::new());
    Ok(positions)
}

/// The close positions of the plans of one observation. Nothing is noted unless a tolerance is set.
#[derive(Debug, Default)]
pub(crate) struct TieNotes {
    tolerance: Cell<Option<f32>>,
    /// The undecided positions of each KV head of the layers planned so far.
    positions: RefCell<Vec<Vec<u32>>>,
}

impl TieNotes {
    /// Returns a [`Ties`] for one layer, which notes close positions if a tolerance is set.
    pub(crate) fn ties(&self, shape: Shape) -> Ties {
        match self.tolerance.get() {
            Some(tolerance) => Ties::within(tolerance, shape.kv_heads, shape.tokens),
            None => Ties::ignored(),
        }
    }

    /// Adds the notes of the next layer.
    pub(crate) fn note(&self, ties: Ties) {
        self.positions.borrow_mut().extend(ties.positions());
    }
}
