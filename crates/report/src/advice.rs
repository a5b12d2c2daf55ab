//! Chooses a policy, a budget and a KV format from the rows of a model, for a limit on memory or on quality.
//!
//! [`MeasuredModel`] has what the rows say about each cell that can be deployed, on the texts that choose and
//! on those that certify. [`Advice::new`] chooses among its cells: a pure function of the rows, the bytes of
//! the model and the [`Limits`]. [`built_in()`] returns the rows of the built-in models, which are compiled
//! in. [`sentences`] and [`tables`] say the result in words.

mod built_in;
mod certificate;
mod choice;
mod limits;
mod measured;
mod missing;
mod nearest;
mod quality;
pub mod sentences;
pub mod tables;
mod units;

pub use built_in::{built_in, compiled_form};
pub use certificate::{Certificate, LEVEL, TaskCertificate};
pub use choice::{Advice, Answer, Candidate, CellBytes, NotMet};
pub use limits::{Limits, Memory, TaskLoss};
pub use measured::{MeasuredCell, MeasuredModel};
pub use missing::{FORMAT_NOTE, MeasurableModel, Missing, missing};
pub use nearest::{Attention, nearest};
pub use quality::{Quality, TaskScores};
pub use units::RunRows;
