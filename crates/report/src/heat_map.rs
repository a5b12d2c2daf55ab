//! Heat maps of attention entropy, by layer and head, as SVG.

use crate::colour;
use crate::format::{count, fixed};
use crate::svg::{Anchor, Svg};

/// The side of a cell in maps with many layers and with few layers, in pixels.
const CELLS: (f64, f64) = (16.0, 26.0);
/// The largest number of layers of a map with large cells.
const FEW_LAYERS: usize = 12;
const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const LEGEND: f64 = 96.0;
const LEGEND_STEPS: usize = 48;

/// A heat map of the entropy of heads. A head with an unknown entropy is drawn empty.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// The title above the map.
    pub title: String,
    /// The entropies in bits, `[layer][head]`.
    pub values: Vec<Vec<Option<f64>>>,
    /// The entropy in bits at the bright end of the scale. Maps with equal scales can be compared.
    pub maximum: f64,
}

impl HeatMap {
    /// Returns the map as SVG with a legend, for files and for readers without scripts.
    pub fn to_svg(&self) -> String {
        let (layers, heads) = (self.values.len(), self.values.iter().map(Vec::len).max().unwrap_or(0));
        let cell = self.cell();
        let (map_width, map_height) = (heads as f64 * cell, (layers as f64 * cell).max(96.0));
        let title_width = self.title.chars().count() as f64 * 7.0 + LEFT;
        let width = (LEFT + map_width + LEGEND).max(title_width);
        let mut svg = Svg::new(width, TOP + map_height + BOTTOM);
        svg.text(LEFT, 18.0, Anchor::Start, &self.title);
        self.draw_cells(&mut svg);
        draw_axes(&mut svg, (layers, heads), cell);
        self.draw_legend(&mut svg, LEFT + map_width + 20.0, map_height);
        svg.finish(&self.title, &self.description())
    }

    /// Returns the side of a cell in pixels.
    fn cell(&self) -> f64 {
        if self.values.len() > FEW_LAYERS { CELLS.0 } else { CELLS.1 }
    }

    /// Draws one rectangle per head.
    fn draw_cells(&self, svg: &mut Svg) {
        let cell = self.cell();
        for (layer, row) in self.values.iter().enumerate() {
            for (head, value) in row.iter().enumerate() {
                let corner = (LEFT + head as f64 * cell, TOP + layer as f64 * cell);
                let fill = value.map_or_else(|| "none".to_owned(), |bits| colour::scale(bits / self.maximum));
                let attributes = format!("fill=\"{fill}\" class=\"grid\" stroke-width=\"0.5\"");
                svg.rect(corner, (cell, cell), &attributes);
            }
        }
    }

    /// Draws the scale of colours, `height` pixels high, at the horizontal position `x`.
    fn draw_legend(&self, svg: &mut Svg, x: f64, height: f64) {
        let step = height / LEGEND_STEPS as f64;
        for i in 0..LEGEND_STEPS {
            let fill = colour::scale((i as f64 + 0.5) / LEGEND_STEPS as f64);
            let y = TOP + height - (i as f64 + 1.0) * step;
            // Each step is a little taller than its distance to the next, so that no gap shows.
            svg.rect((x, y), (14.0, step + 0.3), &format!("fill=\"{fill}\""));
        }
        for bits in self.ticks() {
            let y = TOP + height * (1.0 - bits / self.maximum);
            svg.line((x + 14.0, y), (x + 18.0, y), "class=\"axis\"");
            svg.text(x + 22.0, y + 4.0, Anchor::Start, &count(bits));
        }
        svg.text(x, TOP + height + 18.0, Anchor::Start, "bits");
    }

    /// Returns the ticks of the scale: at most seven whole numbers of bits, or the two ends of a scale below
    /// 1 bit.
    fn ticks(&self) -> Vec<f64> {
        let step = (self.maximum / 6.0).ceil();
        let whole: Vec<f64> =
            (0..=6).map(|i| f64::from(i) * step).filter(|bits| *bits <= self.maximum).collect();
        if whole.len() > 1 { whole } else { vec![0.0, self.maximum] }
    }

    /// Returns a description: the number of heads, the range and the mean in bits, and the number of unknown
    /// heads.
    pub(crate) fn description(&self) -> String {
        let known: Vec<f64> = self.values.iter().flatten().copied().flatten().collect();
        if known.is_empty() {
            return "no entropy is known".to_owned();
        }
        let low = known.iter().copied().fold(f64::INFINITY, f64::min);
        let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let unknown = self.values.iter().flatten().count() - known.len();
        let empty =
            if unknown > 0 { format!("; heads not known and drawn empty: {unknown}") } else { String::new() };
        format!(
            "{} heads in {} layers, {} to {} bits, mean {} bits{empty}",
            known.len(),
            self.values.len(),
            fixed(low, 2),
            fixed(high, 2),
            fixed(mean, 2)
        )
    }
}

/// Draws the labels of layers and heads.
fn draw_axes(svg: &mut Svg, (layers, heads): (usize, usize), cell: f64) {
    let bottom = TOP + layers as f64 * cell;
    for layer in (0..layers).step_by(spacing(layers)) {
        svg.text(LEFT - 6.0, TOP + (layer as f64 + 0.5) * cell + 4.0, Anchor::End, &layer.to_string());
    }
    for head in (0..heads).step_by(spacing(heads)) {
        svg.text(LEFT + (head as f64 + 0.5) * cell, bottom + 15.0, Anchor::Middle, &head.to_string());
    }
    svg.vertical_text(16.0, TOP + layers as f64 * cell / 2.0, "layer");
    svg.text(LEFT + heads as f64 * cell / 2.0, bottom + 34.0, Anchor::Middle, "query head");
}

/// Returns the distance between labels: every one, every second or every fifth, so that labels do not
/// overlap.
fn spacing(count: usize) -> usize {
    match count {
        0..=10 => 1,
        11..=20 => 2,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_has_its_value_and_its_colour() {
        let values = vec![vec![Some(0.0), Some(2.0)], vec![Some(4.0), None]];
        let svg = HeatMap { title: "map".into(), values, maximum: 4.0 }.to_svg();
        assert!(svg.contains("fill=\"#440154\"") && svg.contains("fill=\"#fde725\""));
        let cells = svg.matches("class=\"grid\" stroke-width").count();
        assert_eq!((cells, svg.matches("fill=\"none\"").count()), (4, 1), "one head is not known");
        assert!(svg.contains("3 heads in 2 layers, 0.00 to 4.00 bits, mean 2.00 bits"), "{svg}");
    }

    #[test]
    fn the_scale_has_ticks_at_whole_bits() {
        let ticks = |maximum| HeatMap { title: String::new(), values: vec![], maximum }.ticks();
        assert_eq!(ticks(5.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(ticks(9.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(0.5), [0.0, 0.5]);
    }

    #[test]
    fn a_map_without_values_is_still_an_image() {
        let svg = HeatMap { title: "none".into(), values: vec![], maximum: 1.0 }.to_svg();
        assert!(svg.contains("no entropy is known") && !svg.contains("NaN"));
    }
}
