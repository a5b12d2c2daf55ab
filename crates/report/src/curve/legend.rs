//! The colours, dashes and markers of lines, and the legend.

use super::Series;
use crate::colour;
use crate::svg::{Anchor, Svg, number};

/// The height of a row of the legend, in pixels.
const ROW: f64 = 19.0;
/// The left margin of the legend, in pixels.
const LEFT: f64 = 12.0;
/// The approximate width of a character of a label, in pixels.
const CHARACTER: f64 = 6.4;

/// The index of a line, which selects its marker, and its colour and dashes.
pub(super) type Style = (usize, (&'static str, &'static str));

/// Returns the attribute of a dash pattern, with a space before it; empty for a whole line.
pub(super) fn dashes(pattern: &str) -> String {
    match pattern {
        "none" => String::new(),
        pattern => format!(" stroke-dasharray=\"{pattern}\""),
    }
}

/// Returns the colour and the dashes of each line. Grey lines do not use up colours.
pub(super) fn strokes(series: &[Series]) -> Vec<(&'static str, &'static str)> {
    let (mut coloured, mut faint) = (0.., 0..);
    let next = |series: &Series| match series.faint {
        true => colour::faint_stroke(faint.next().unwrap_or(0)),
        false => colour::stroke(coloured.next().unwrap_or(0)),
    };
    series.iter().map(next).collect()
}

/// Draws a square, a triangle, a diamond, an inverted triangle or a bar, by the index of the line. With five
/// shapes and seven colours, no combination repeats among the first 35 lines.
pub(super) fn draw_marker(svg: &mut Svg, (x, y): (f64, f64), index: usize, colour: &str) {
    let corners: &[(f64, f64)] = match index % 5 {
        0 => &[(-3.2, -3.2), (3.2, -3.2), (3.2, 3.2), (-3.2, 3.2)],
        1 => &[(0.0, -4.4), (4.2, 3.2), (-4.2, 3.2)],
        2 => &[(0.0, -4.6), (4.6, 0.0), (0.0, 4.6), (-4.6, 0.0)],
        3 => &[(0.0, 4.4), (4.2, -3.2), (-4.2, -3.2)],
        _ => &[(-1.4, -4.2), (1.4, -4.2), (1.4, 4.2), (-1.4, 4.2)],
    };
    let points: Vec<String> =
        corners.iter().map(|(dx, dy)| format!("{},{}", number(x + dx), number(y + dy))).collect();
    svg.push(format_args!("<polygon fill=\"{colour}\" points=\"{}\"/>", points.join(" ")));
}

/// The labels of the lines below the plot, in up to four columns.
pub(super) struct Legend {
    top: f64,
    columns: usize,
    rows: usize,
    column_width: f64,
}

impl Legend {
    /// Lays out the legend for an image of `width` pixels, `top` pixels from its top.
    pub(super) fn new(width: f64, top: f64, series: &[Series]) -> Self {
        let longest = series.iter().map(|s| s.label.chars().count()).max().unwrap_or(0);
        let column_width = 48.0 + longest as f64 * CHARACTER;
        let columns = (((width - LEFT) / column_width) as usize).clamp(1, 4);
        Self { top, columns, rows: series.len().div_ceil(columns), column_width }
    }

    /// Returns the height in pixels.
    pub(super) fn height(&self) -> f64 {
        self.rows as f64 * ROW + 8.0
    }

    /// Draws the entry of one line.
    pub(super) fn draw(&self, svg: &mut Svg, (index, (colour, dash)): Style, label: &str) {
        let (column, row) =
            if self.columns > 1 { (index / self.rows, index % self.rows) } else { (0, index) };
        let x = LEFT + column as f64 * self.column_width;
        let y = self.top + 8.0 + row as f64 * ROW;
        let attributes = format!("class=\"line\" stroke=\"{colour}\"{}", dashes(dash));
        svg.line((x, y), (x + 30.0, y), &attributes);
        draw_marker(svg, (x + 15.0, y), index, colour);
        svg.text(x + 38.0, y + 4.0, Anchor::Start, label);
    }
}
