//! The measurements of the built-in models, which are compiled in.

use super::{MeasuredCell, MeasuredModel, Quality};

/// The form in which measurements are compiled in. The test `measurements` writes it from `results/advise`.
const MEASUREMENTS: &str = include_str!("../../data/advice.json");

/// Returns the measurements of the built-in models.
///
/// # Errors
/// Fails if the compiled-in text is damaged.
pub fn built_in() -> Result<Vec<MeasuredModel>, serde_json::Error> {
    serde_json::from_str(MEASUREMENTS)
}

/// Returns measurements as the text that is compiled in: JSON with one line per cell, and numbers with five
/// significant digits.
///
/// # Errors
/// Fails if a number is not finite.
pub fn compiled_form(models: &[MeasuredModel]) -> Result<String, serde_json::Error> {
    let model = |model: &MeasuredModel| {
        let rounded: Vec<_> = model.cells.iter().map(rounded).collect();
        let lines = rounded.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let MeasuredModel { model, context, has_calibration, .. } = model;
        let name = serde_json::to_string(model)?;
        let head = format!("\"model\":{name},\"context\":{context},\"has_calibration\":{has_calibration}");
        Ok(format!("{{{head},\"cells\":[\n{}\n]}}", lines.join(",\n")))
    };
    let models = models.iter().map(model).collect::<Result<Vec<_>, serde_json::Error>>()?;
    Ok(format!("[{}]\n", models.join(",\n")))
}

/// Returns a cell with rounded numbers.
fn rounded(cell: &MeasuredCell) -> MeasuredCell {
    let quality = |quality: &Quality| Quality {
        kl: all_rounded(&quality.kl),
        agreement: all_rounded(&quality.agreement),
        nll: all_rounded(&quality.nll),
        tasks: quality.tasks.clone(),
    };
    MeasuredCell {
        choosing: quality(&cell.choosing),
        certifying: quality(&cell.certifying),
        plan_seconds: cell.plan_seconds.map(five_digits),
        decode_seconds: cell.decode_seconds.map(five_digits),
        ..cell.clone()
    }
}

fn all_rounded(values: &[f64]) -> Vec<f64> {
    values.iter().copied().map(five_digits).collect()
}

/// Returns the number with five significant digits that is nearest to `value`.
fn five_digits(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}
