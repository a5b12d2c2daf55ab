//! Positions that a press decides by a hair.

use std::cell::{Cell, RefCell};

use bitkv_evict::{Budget, Error, Observation, Planner, Policy, Shape};

use crate::ties::Ties;

/// The positions that a press keeps or drops by less than `tolerance`, relative to the lowest score kept:
/// those that another order of summation may decide otherwise, and that another implementation of the same
/// press may therefore differ in. `[layers * kv_heads]` lists, ascending; empty ones for a policy that is no
/// press.
///
/// # Errors
/// As [`Policy::plan`].
pub fn undecided(
    policy: &Policy,
    seen: &Observation<'_>,
    budget: Budget,
    tolerance: f32,
) -> Result<Vec<Vec<u32>>, Error> {
    let planner = Planner::new(seen);
    let noted = planner.memo().of::<Noted>();
    noted.tolerance.set(Some(tolerance));
    planner.plan(policy, budget)?;
    let mut positions = noted.positions.take();
    positions.resize(seen.shape.all_kv_heads(), Vec::new());
    Ok(positions)
}

/// What the plans of one observation note of their ties: nothing, unless a tolerance is set.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    tolerance: Cell<Option<f32>>,
    /// Of the KV heads of all layers planned so far.
    positions: RefCell<Vec<Vec<u32>>>,
}

impl Noted {
    /// None yet, of one layer.
    pub(crate) fn ties(&self, shape: Shape) -> Ties {
        match self.tolerance.get() {
            Some(tolerance) => Ties::within(tolerance, shape.kv_heads, shape.tokens),
            None => Ties::ignored(),
        }
    }

    /// Notes those of one layer.
    pub(crate) fn note(&self, ties: Ties) {
        self.positions.borrow_mut().extend(ties.positions());
    }
}
