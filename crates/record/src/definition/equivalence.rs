//! Reads the key `equivalence` of an experiment.

use super::keys::{Keys, Place, number};
use crate::RecordError;
use toml::Value;

const KEYS: [&str; 3] = ["kl", "agreement", "accuracy"];

/// The margins of the tests of equivalence, for the policies of pairs and for one policy at two values of an
/// axis (form, time of eviction, positions, KV format). The two are equivalent if the difference between
/// their means is smaller than the margin. A measure without a margin is not tested.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Equivalence {
    /// The margin of the KL divergence, in nats per token.
    pub kl: Option<f64>,
    /// The margin of the agreement, as a fraction: 0.01 is one percentage point.
    pub agreement: Option<f64>,
    /// The margin of the fraction of right answers: 0.01 is one percentage point.
    pub accuracy: Option<f64>,
}

/// Reads the margins.
///
/// # Errors
/// Fails if the value is not a table, if it has no margin, or if a margin is not a number above 0. Margins of
/// fractions must be below 1.
pub(super) fn read(place: &Place, value: Value) -> Result<Equivalence, RecordError> {
    let Value::Table(table) = value else {
        let key = place.key();
        return Err(place.wrong_type(&value, &format!("a table, such as {key} = {{kl = 0.001}}")));
    };
    let mut keys = Keys::new(table, &KEYS, place.clone())?;
    let mut margin = |key: &str, below: f64| keys.value(key, |place, value| margin(place, value, below));
    let found = Equivalence {
        kl: margin("kl", f64::INFINITY)?,
        agreement: margin("agreement", 1.0)?,
        accuracy: margin("accuracy", 1.0)?,
    };
    match found == Equivalence::default() {
        true => Err(place.refuse(format!(
            "{key} has no margin: write the largest difference that does not matter, such as {key} = {{kl = 0.001}}",
            key = place.key()
        ))),
        false => Ok(found),
    }
}

/// Reads one margin, a number above 0 and below `below`.
fn margin(place: &Place, value: Value, below: f64) -> Result<f64, RecordError> {
    let margin = number(place, value)?;
    if margin > 0.0 && margin < below {
        return Ok(margin);
    }
    let range = if below.is_finite() { format!("between 0 and {below}") } else { "above 0".to_owned() };
    Err(place.refuse(format!(
        "{} = {margin:?} is not a margin: write a number {range}, the largest difference that does not matter",
        place.key()
    )))
}
