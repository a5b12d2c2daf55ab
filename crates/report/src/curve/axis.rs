//! Axes: their domains, positions and ticks.

use crate::format::{fixed, significant};
use crate::page::data::{AxisData, rounded};

/// The largest number of decades on a logarithmic axis. Smaller values are drawn on its floor.
const DECADES: i32 = 8;

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From 0 (or below, if a value is) to the largest value.
    Linear,
    /// From below the smallest to the largest value, without 0, for values that are close together.
    Fit,
    /// From 0 to 1, for fractions.
    Unit,
    /// Powers of ten. Zero is drawn on the floor.
    Log,
    /// Powers of two, with a tick at each value, for context lengths.
    Doubling,
}

/// An axis before its values are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The label, with its unit.
    pub label: String,
    /// The scale.
    pub scale: Scale,
}

impl Axis {
    /// Returns the axis that shows all finite `values`, for the script of a page.
    pub(crate) fn data(&self, values: impl Iterator<Item = f64>) -> AxisData {
        let scaled = Scaled::new(self, values);
        let tick = |(value, label)| (rounded(scaled.position(value)), label);
        let kind = match self.scale {
            Scale::Linear | Scale::Fit | Scale::Unit => "linear",
            Scale::Log => "log10",
            Scale::Doubling => "log2",
        };
        let ticks = scaled.ticks().into_iter().map(tick).collect();
        AxisData { label: self.label.clone(), kind, low: scaled.low, high: scaled.high, ticks }
    }
}

/// An axis with the domain of its values.
pub(super) struct Scaled {
    scale: Scale,
    /// The low end. Both ends are logarithms if the scale is logarithmic.
    low: f64,
    high: f64,
    /// The distinct values, ascending.
    values: Vec<f64>,
}

impl Scaled {
    /// Returns an axis that shows all finite `values`.
    pub(super) fn new(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let smallest = values.first().copied();
        let largest = values.last().copied().unwrap_or(1.0);
        let positive = values.iter().copied().find(|v| *v > 0.0);
        let (low, high) = match axis.scale {
            Scale::Unit => (0.0, 1.0),
            Scale::Linear => linear_ends(smallest.unwrap_or(0.0).min(0.0), largest.max(0.0)),
            Scale::Fit => linear_ends(smallest.unwrap_or(0.0), largest),
            Scale::Log => {
                let high = if largest > 0.0 { largest.log10().ceil() } else { 0.0 };
                let low = positive.map_or(high - 1.0, |v| v.log10().floor());
                // Zero has the floor to itself, one decade below the smallest positive value.
                let low = if smallest.is_some_and(|v| v <= 0.0) { low - 1.0 } else { low };
                (low.max(high - f64::from(DECADES)).min(high - 1.0), high)
            }
            Scale::Doubling => {
                let low = positive.unwrap_or(1.0).log2();
                (low, largest.max(1.0).log2().max(low + 1.0))
            }
        };
        Self { scale: axis.scale, low, high, values }
    }

    /// Returns the position of a value, from 0 at the low end to 1 at the high end. Values outside are
    /// clamped.
    pub(super) fn position(&self, value: f64) -> f64 {
        let coordinate = match self.scale {
            Scale::Linear | Scale::Fit | Scale::Unit => value,
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Doubling if value > 0.0 => value.log2(),
            Scale::Log | Scale::Doubling => self.low,
        };
        ((coordinate - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Returns the values with a tick, and their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Doubling => self.values.iter().map(|&v| (v, fixed(v, 0))).collect(),
            Scale::Log => {
                let has_zero = self.values.first().is_some_and(|v| *v <= 0.0);
                let tick = |exponent: i32| {
                    let value = 10f64.powi(exponent);
                    let is_floor = has_zero && exponent == self.low as i32;
                    (value, if is_floor { format!("≤ {}", decade(exponent)) } else { decade(exponent) })
                };
                (self.low as i32..=self.high as i32).map(tick).collect()
            }
            Scale::Linear | Scale::Fit | Scale::Unit => {
                let step = nice_step(self.high - self.low);
                let steps = ((self.high - self.low) / step).round() as i32;
                let value = |i: i32| self.low + f64::from(i) * step;
                let decimals = (-step.log10().floor()).max(0.0) as usize;
                (0..=steps).map(|i| (value(i), fixed(value(i), decimals))).collect()
            }
        }
    }
}

/// Returns the label of a power of ten.
fn decade(exponent: i32) -> String {
    significant(10f64.powi(exponent), 1)
}

/// Returns the ends of an axis that contains `low` and `high`, at whole steps.
fn linear_ends(low: f64, high: f64) -> (f64, f64) {
    let span = if high > low { high - low } else { 1.0 };
    let step = nice_step(span);
    let (top, low) = (low + span, (low / step).floor() * step);
    // Rounding must not add another step.
    let steps = ((top - low) / step - 1e-9).ceil().max(1.0);
    (low, low + steps * step)
}

/// Returns 1, 2 or 5 times a power of ten, so that the span has about five steps.
fn nice_step(span: f64) -> f64 {
    let rough = span / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(scale: Scale, values: &[f64]) -> Scaled {
        Scaled::new(&Axis { label: String::new(), scale }, values.iter().copied())
    }

    fn labels(axis: &Scaled) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_axes_end_at_whole_steps_and_include_zero() {
        let axis = scaled(Scale::Linear, &[1.0, 4.3]);
        assert_eq!(labels(&axis), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!([axis.position(0.0), axis.position(2.5), axis.position(9.0)], [0.0, 0.5, 1.0]);
        let negative = scaled(Scale::Linear, &[-0.3, 0.4]);
        assert_eq!(labels(&negative), ["-0.4", "-0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(labels(&scaled(Scale::Unit, &[0.2])), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&scaled(Scale::Linear, &[0.0])).len(), 6);
    }

    #[test]
    fn fitted_axes_leave_out_zero_and_never_pass_one() {
        let axis = scaled(Scale::Fit, &[0.78, 0.985]);
        assert_eq!(labels(&axis), ["0.75", "0.80", "0.85", "0.90", "0.95", "1.00"]);
        assert!((axis.position(0.75), axis.position(1.0)) == (0.0, 1.0));
        assert_eq!(labels(&scaled(Scale::Fit, &[1.0])).len(), 6, "one value still has an axis");
    }

    #[test]
    fn logarithmic_axes_end_at_decades_and_keep_a_floor_for_zero() {
        let axis = scaled(Scale::Log, &[0.02, 3.0]);
        assert_eq!(labels(&axis), ["0.01", "0.1", "1", "10"]);
        let with_zero = scaled(Scale::Log, &[0.0, 0.02, 3.0]);
        assert_eq!(labels(&with_zero), ["≤ 0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(with_zero.position(0.0), 0.0);
        let deep = scaled(Scale::Log, &[1e-30, 1.0]);
        assert_eq!((labels(&deep).len(), deep.position(1e-30)), (9, 0.0));
        assert_eq!(labels(&scaled(Scale::Log, &[1.0])).len(), 2);
    }

    #[test]
    fn doubling_axes_have_a_tick_at_each_value() {
        let axis = scaled(Scale::Doubling, &[512.0, 128.0, 2048.0, 128.0]);
        assert_eq!(labels(&axis), ["128", "512", "2048"]);
        assert_eq!(axis.position(512.0), 0.5);
    }
}
