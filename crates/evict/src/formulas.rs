//! Formulas that several methods share, as functions of the numbers of one head. Sums are taken in `f64` and
//! rounded once, so that a score does not depend on the order of summation.

mod expected_attention;
mod key_diff;
mod lag;
mod mean_rotation;
mod norms;
mod smoothing;
mod sums;
mod two_stage;

pub use expected_attention::{QueryMoments, expected_attention};
pub use key_diff::key_diff;
pub use lag::{lag_scores, ranks};
pub use mean_rotation::MeanRotation;
pub use norms::{mean_rows, row_norms};
pub use smoothing::smoothed;
pub use two_stage::two_stage;
