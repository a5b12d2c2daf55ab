//! The data that the script of a page draws. Rust computes every number, axis and tick; the script only
//! places them. Numbers have six significant digits.

use serde::{Serialize, Serializer};

/// The significant digits of a number in a page. They are more than anyone can see, and fewer than a row has.
const DIGITS: usize = 6;

/// Returns a number with the digits that a page has.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}

/// Writes a number with the digits that a page has.
fn short<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value))
}

/// Writes numbers with the digits that a page has.
fn all_short<S: Serializer>(values: &[Option<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| value.map(rounded)))
}

/// An axis: how a value becomes a position, and where the ticks are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AxisData {
    /// The label, with its unit.
    pub(crate) label: String,
    /// `linear`, `log10` or `log2`.
    pub(crate) kind: &'static str,
    /// The value at the low end, or its logarithm.
    #[serde(serialize_with = "short")]
    pub(crate) low: f64,
    /// The value at the high end, or its logarithm.
    #[serde(serialize_with = "short")]
    pub(crate) high: f64,
    /// The positions of the ticks, from 0 at the low end to 1 at the high end, with their labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

/// A chart with a choice of panels, measures and axes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct ChartData {
    /// The title.
    pub(crate) title: String,
    /// One sentence that says how to read the chart.
    pub(crate) note: String,
    /// Whether the front of the smallest and best points is drawn below the chart.
    pub(crate) front: bool,
    /// The panels. One is shown at a time.
    pub(crate) panels: Vec<PanelData>,
}

/// One panel of a chart: a model, or a model under one variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PanelData {
    pub(crate) name: String,
    pub(crate) measures: Vec<MeasureData>,
    pub(crate) lines: Vec<LineData>,
}

/// A measure on the vertical axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MeasureData {
    pub(crate) name: String,
    /// The unit of values; empty for shares, which are fractions.
    pub(crate) unit: String,
    /// Whether high or low values are better: 1, -1, or 0 if neither is.
    pub(crate) better: i8,
    /// The vertical axes to choose from.
    pub(crate) scales: Vec<AxisData>,
    /// The horizontal axes to choose from.
    pub(crate) widths: Vec<AxisData>,
}

/// A line: a policy, a model, or an accounting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LineData {
    pub(crate) name: String,
    /// The full specification of a policy; empty for other lines.
    pub(crate) full: String,
    /// Whether the line is grey, as a reference for the coloured lines.
    pub(crate) faint: bool,
    /// Whether the points have no line: published figures.
    pub(crate) marks: bool,
    /// Whether the line is shown before the reader chooses.
    pub(crate) shown: bool,
    /// The points of each measure of the panel.
    pub(crate) points: Vec<Vec<PointData>>,
}

/// A point of a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PointData {
    /// The budget, or another name of the point.
    pub(crate) label: String,
    /// The value on each horizontal axis.
    #[serde(serialize_with = "all_short")]
    pub(crate) x: Vec<Option<f64>>,
    /// The value, and the ends of its interval if it has one.
    #[serde(serialize_with = "all_short")]
    pub(crate) y: Vec<Option<f64>>,
    /// The number of texts or contexts.
    pub(crate) n: usize,
}

/// Paired differences: a panel for each model, variant and comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct ForestData {
    pub(crate) title: String,
    pub(crate) panels: Vec<ForestPanel>,
}

/// The paired differences of one comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ForestPanel {
    pub(crate) name: String,
    pub(crate) rows: Vec<ForestRow>,
}

/// One paired difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ForestRow {
    /// The two policies.
    pub(crate) label: String,
    pub(crate) budget: String,
    pub(crate) measure: String,
    /// The unit; empty for shares, whose differences are shown in percentage points.
    pub(crate) unit: String,
    #[serde(serialize_with = "short")]
    pub(crate) value: f64,
    /// The ends of the interval; empty if it is not known.
    #[serde(serialize_with = "all_short")]
    pub(crate) interval: Vec<Option<f64>>,
    pub(crate) n: usize,
    /// `better`, `worse`, equivalent within a margin, `undecided`, `identical` on every text, or empty for
    /// too few texts.
    pub(crate) verdict: String,
}

/// Right answers by depth of the answer, for each model, task, length and budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DepthData {
    pub(crate) title: String,
    /// The bands of depth, from the start of the context.
    pub(crate) bands: Vec<String>,
    pub(crate) panels: Vec<DepthPanel>,
}

/// Right answers of one model, variant and task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DepthPanel {
    pub(crate) name: String,
    /// The columns: context length and budget.
    pub(crate) columns: Vec<String>,
    pub(crate) policies: Vec<DepthPolicy>,
}

/// Right answers of one policy: a row for each band and a value for each column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DepthPolicy {
    pub(crate) name: String,
    /// The share of right answers and the number of questions.
    pub(crate) bands: Vec<Vec<Option<(f64, usize)>>>,
}

/// Scores of every head, for a map by layer and head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HeadsData {
    pub(crate) title: String,
    /// The names of the scores.
    pub(crate) scores: Vec<&'static str>,
    /// The bounds between the classes in bits, with the name of each set.
    pub(crate) bounds: Vec<(&'static str, [f64; 4])>,
    /// The colours of rising values.
    pub(crate) palette: Vec<String>,
    /// The names of the classes, from the lowest entropy to the highest.
    pub(crate) classes: Vec<String>,
    pub(crate) models: Vec<HeadsModel>,
}

/// The heads of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HeadsModel {
    pub(crate) name: String,
    pub(crate) views: Vec<HeadsView>,
}

/// The heads of one model at one context length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HeadsView {
    /// The context length, or `published`.
    pub(crate) name: String,
    /// The number of texts.
    pub(crate) texts: usize,
    /// The KV head of each query head, `[layer][head]`.
    pub(crate) kv_heads: Vec<Vec<Option<usize>>>,
    /// Each score, `[score][layer][head]`.
    pub(crate) scores: Vec<Vec<Vec<Option<f64>>>>,
}

/// The ranks of policies of one model, measure and budget in one experiment of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BoardData {
    /// The model, and its variant if the experiment has several.
    pub(crate) model: String,
    pub(crate) task: String,
    pub(crate) measure: String,
    /// The unit; empty for shares.
    pub(crate) unit: String,
    pub(crate) is_lower_better: bool,
    pub(crate) budget: String,
    /// The policies, the best first.
    pub(crate) ranks: Vec<RankData>,
}

/// A policy on a board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RankData {
    /// The place; `None` for controls and oracles, which are references.
    pub(crate) place: Option<usize>,
    pub(crate) name: String,
    /// The full specification.
    pub(crate) full: String,
    pub(crate) role: &'static str,
    /// The value and the ends of its interval.
    #[serde(serialize_with = "all_short")]
    pub(crate) value: Vec<Option<f64>>,
    /// The difference from the first place and the ends of its interval; empty for the first place and for
    /// references.
    #[serde(serialize_with = "all_short")]
    pub(crate) from_best: Vec<Option<f64>>,
    /// The verdict on the difference from random choice; empty if it was not tested.
    pub(crate) against_random: String,
    pub(crate) n: usize,
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn numbers_have_six_digits() {
        assert_eq!([rounded(1.0 / 3.0), rounded(-1234567.0)], [0.333333, -1234570.0]);
        assert_eq!([rounded(0.0), rounded(1e-30 / 3.0)], [0.0, 3.33333e-31]);
    }
}
