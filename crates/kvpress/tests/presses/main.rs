//! What holds of the presses: as kvpress has them, by hand, whatever was observed, and what they refuse.

mod fixtures;
mod listings;
mod plans;
mod properties;
mod refusals;
mod support;
mod tensors;
