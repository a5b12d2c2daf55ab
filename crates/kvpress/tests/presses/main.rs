//! Tests of the presses: against fixtures of kvpress, against plans worked out by hand, for random
//! observations, and of the inputs that they refuse.

mod fixtures;
mod listings;
mod plans;
mod properties;
mod refusals;
mod support;
mod tensors;
