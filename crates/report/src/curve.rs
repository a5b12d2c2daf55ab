//! Line charts with intervals, as SVG: quality against entries kept, entropy or memory against context
//! length.

mod axis;
mod legend;

use crate::svg::{Anchor, Svg, number};
use axis::Scaled;
use legend::{Legend, Style, dashes, draw_marker, strokes};

pub use axis::{Axis, Scale};

/// The width and the height of the plot, in pixels.
const PLOT: (f64, f64) = (460.0, 300.0);
// The margins of the plot, in pixels.
const LEFT: f64 = 76.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;
const RIGHT: f64 = 20.0;
/// Half the width of the end of a whisker, in pixels.
const CAP: f64 = 3.0;

/// One measured point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The horizontal value.
    pub x: f64,
    /// The measured value.
    pub y: f64,
    /// The ends of the 95 % interval of `y`, if there is one.
    pub interval: Option<(f64, f64)>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The label in the legend.
    pub label: String,
    /// Whether the line is grey, as a reference for the coloured lines.
    pub faint: bool,
    /// The points in any order; the line joins them from left to right.
    pub points: Vec<Point>,
}

/// A line chart with its legend below the plot. Lines differ in colour, in dashes and in markers.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The title above the plot.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, in legend order.
    pub series: Vec<Series>,
}

/// The axes of a chart with their domains.
struct Frame {
    x: Scaled,
    y: Scaled,
}

impl Frame {
    /// Returns the position of a point, in pixels.
    fn position(&self, x: f64, y: f64) -> (f64, f64) {
        (LEFT + PLOT.0 * self.x.position(x), TOP + PLOT.1 * (1.0 - self.y.position(y)))
    }
}

impl Chart {
    /// Returns the chart as SVG, for files and for readers without scripts.
    pub fn to_svg(&self) -> String {
        let width = (LEFT + PLOT.0 + RIGHT).max(LEFT + self.title.chars().count() as f64 * 7.0);
        let legend = Legend::new(width, TOP + PLOT.1 + BOTTOM, &self.series);
        let mut svg = Svg::new(width, TOP + PLOT.1 + BOTTOM + legend.height());
        svg.text(LEFT, 18.0, Anchor::Start, &self.title);

        let points = || self.series.iter().flat_map(|series| &series.points);
        let frame = Frame {
            x: Scaled::new(&self.x, points().map(|p| p.x)),
            y: Scaled::new(
                &self.y,
                points()
                    .flat_map(|p| [Some(p.y), p.interval.map(|i| i.0), p.interval.map(|i| i.1)])
                    .flatten(),
            ),
        };
        self.draw_axes(&mut svg, &frame);
        for (index, (series, stroke)) in self.series.iter().zip(strokes(&self.series)).enumerate() {
            self.draw_series(&mut svg, &frame, (index, stroke), series);
            legend.draw(&mut svg, (index, stroke), &series.label);
        }
        svg.finish(&self.title, &self.description())
    }

    /// Returns sentences that explain the marks and the axes.
    pub(crate) fn explanation(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut sentences = Vec::new();
        if points().any(|point| point.interval.is_some()) {
            sentences.push("Whiskers are 95 % intervals.");
        }
        match self.y.scale {
            Scale::Fit => sentences.push("The vertical axis does not begin at 0."),
            Scale::Log => sentences.push("The vertical axis is logarithmic."),
            Scale::Linear | Scale::Unit | Scale::Doubling => {}
        }
        sentences.join(" ")
    }

    /// Draws the grid, the axes and their labels.
    fn draw_axes(&self, svg: &mut Svg, frame: &Frame) {
        let (bottom, right) = (TOP + PLOT.1, LEFT + PLOT.0);
        for (value, label) in frame.x.ticks() {
            let x = LEFT + PLOT.0 * frame.x.position(value);
            svg.line((x, TOP), (x, bottom), "class=\"grid\"");
            svg.text(x, bottom + 16.0, Anchor::Middle, &label);
        }
        for (value, label) in frame.y.ticks() {
            let y = TOP + PLOT.1 * (1.0 - frame.y.position(value));
            svg.line((LEFT, y), (right, y), "class=\"grid\"");
            svg.text(LEFT - 6.0, y + 4.0, Anchor::End, &label);
        }
        svg.line((LEFT, bottom), (right, bottom), "class=\"axis\"");
        svg.line((LEFT, TOP), (LEFT, bottom), "class=\"axis\"");
        svg.text(LEFT + PLOT.0 / 2.0, bottom + 38.0, Anchor::Middle, &self.x.label);
        svg.vertical_text(16.0, TOP + PLOT.1 / 2.0, &self.y.label);
    }

    /// Draws the line, the whiskers and the markers of a series.
    fn draw_series(&self, svg: &mut Svg, frame: &Frame, (index, (colour, dash)): Style, series: &Series) {
        let mut points = series.points.clone();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        // A line down to the floor of a logarithmic axis would show values that were not measured.
        let drawn = |p: &&Point| self.y.scale != Scale::Log || p.y > 0.0;
        let path: Vec<String> = points
            .iter()
            .filter(drawn)
            .map(|p| frame.position(p.x, p.y))
            .map(|(x, y)| format!("{},{}", number(x), number(y)))
            .collect();
        let path = path.join(" ");
        svg.push(format_args!(
            "<polyline class=\"line\" stroke=\"{colour}\"{} points=\"{path}\"/>",
            dashes(dash)
        ));
        for point in &points {
            if let Some((low, high)) = point.interval {
                draw_whisker(svg, frame.position(point.x, low), frame.position(point.x, high), colour);
            }
            draw_marker(svg, frame.position(point.x, point.y), index, colour);
        }
    }

    /// Returns a sentence for screen readers.
    fn description(&self) -> String {
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        format!("{} against {} for {}", self.y.label, self.x.label, labels.join(", "))
    }
}

/// Draws the interval of a point: a line with a cap at each end.
fn draw_whisker(svg: &mut Svg, (x, low): (f64, f64), (_, high): (f64, f64), colour: &str) {
    let [x, left, low, high, width] = [x, x - CAP, low, high, 2.0 * CAP].map(number);
    svg.push(format_args!(
        "<path class=\"whisker\" stroke=\"{colour}\" d=\"M{x} {low}V{high}M{left} {low}h{width}M{left} {high}h{width}\"/>"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale) -> Chart {
        let point = |x, y, interval| Point { x, y, interval };
        let first = vec![point(0.5, 0.01, Some((0.005, 0.02))), point(0.1, 1.0, None)];
        let second = vec![point(0.5, 0.0, None)];
        Chart {
            title: "KL".into(),
            x: Axis { label: "kept".into(), scale: Scale::Unit },
            y: Axis { label: "KL, nats".into(), scale },
            series: vec![
                Series { label: "a<b".into(), faint: false, points: first },
                Series { label: "exact".into(), faint: true, points: second },
            ],
        }
    }

    #[test]
    fn lines_run_from_left_to_right_and_intervals_have_whiskers() {
        let svg = chart(Scale::Log).to_svg();
        // 0.1 and 0.5 of the width. The axis has four decades: down to 0.001 for the whisker, one more for
        // zero.
        assert!(svg.contains("points=\"122,36 306,186\""), "{svg}");
        assert_eq!(svg.matches("class=\"whisker\"").count(), 1);
        assert!(svg.contains("d=\"M306 208.58V163.42M303 208.58h6M303 163.42h6\""), "0.005 to 0.02\n{svg}");
    }

    #[test]
    fn zero_is_drawn_on_the_floor_of_a_logarithmic_axis() {
        let svg = chart(Scale::Log).to_svg();
        assert!(svg.contains("points=\"306,331.6 310.2,339.2 301.8,339.2\""), "marker at 306,336\n{svg}");
        assert!(svg.contains("points=\"\""), "no line is drawn to zero");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(chart(Scale::Linear).to_svg().contains("points=\"306,336\""));
    }

    #[test]
    fn lines_differ_in_more_than_colour() {
        let svg = chart(Scale::Linear).to_svg();
        assert_eq!(svg.matches("<polygon").count(), 5, "three points and two legend entries");
        assert!(svg.contains("#0072b2") && svg.contains("#808890") && !svg.contains("#d55e00"));
    }

    #[test]
    fn the_explanation_names_the_marks() {
        assert_eq!(
            chart(Scale::Fit).explanation(),
            "Whiskers are 95 % intervals. The vertical axis does not begin at 0."
        );
        let mut bare = chart(Scale::Linear);
        bare.series.remove(0);
        assert_eq!(bare.explanation(), "");
    }

    #[test]
    fn a_chart_without_points_is_still_an_image() {
        let mut empty = chart(Scale::Log);
        empty.series.clear();
        let svg = empty.to_svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
