//! Numerics on plain slices that policies, metrics and reports share.
//!
//! Entropies are in bits and divergences in nats. Standard deviations are those of the population unless
//! their name says otherwise. Nothing here panics on bad input: a function returns `None`, or NaN if its
//! documentation says so, if the result is undefined.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod apportion;
mod conformal;
mod correlation;
mod divergence;
mod entropy;
mod equivalence;
mod growth;
mod holm;
mod mcnemar;
mod mean_interval;
mod power;
mod preservation;
mod random;
mod relative_error;
mod sequence;
mod student;
mod summary;

pub use apportion::{apportion, apportion_within};
pub use conformal::{attainable_level, conformal_bound, values_for_level};
pub use correlation::{pearson, ranks, spearman};
pub use divergence::{Prediction, ReferencePrediction, argmax, kl_from_logits, nll_from_logits};
pub use entropy::{entropy_bits, normalised};
pub use equivalence::{Equivalence, equivalence};
pub use growth::linear_and_quadratic;
pub use holm::holm;
pub use mcnemar::mcnemar;
pub use mean_interval::{Interval, mean_interval, paired_test};
pub use power::minimum_detectable_effect;
pub use preservation::{attention_preservation, retained_mass};
pub use random::Rng;
pub use relative_error::relative_error;
pub use sequence::{first_difference, matching_fraction};
pub use summary::{Summary, median, quantile, quantiles};
