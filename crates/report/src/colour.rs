//! Colours that can be distinguished on light and on dark backgrounds.

/// Nine evenly spaced anchors of matplotlib's `viridis` map, whose lightness rises evenly.
const VIRIDIS: [[u8; 3]; 9] = [
    [0x44, 0x01, 0x54],
    [0x47, 0x2d, 0x7b],
    [0x3b, 0x52, 0x8b],
    [0x2c, 0x72, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x28, 0xae, 0x80],
    [0x5e, 0xc9, 0x62],
    [0xad, 0xdc, 0x30],
    [0xfd, 0xe7, 0x25],
];

/// Line colours after Okabe and Ito, which colour-blind readers can also distinguish. Their yellow is left
/// out, because it is hard to see on white.
const LINES: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1"];

/// Dashes, so that lines differ without colour.
const DASHES: [&str; 4] = ["none", "7 3", "2 3", "9 3 2 3"];

/// Returns the colour at `position` in 0..1 of a perceptually even scale, as `#rrggbb`. Other positions are
/// clamped.
pub(crate) fn scale(position: f64) -> String {
    let [r, g, b] = rgb(position);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Returns the red, green and blue of a position, 0 to 255.
fn rgb(position: f64) -> [u8; 3] {
    let steps = VIRIDIS.len() - 1;
    let scaled = if position.is_nan() { 0.0 } else { position.clamp(0.0, 1.0) } * steps as f64;
    let below = (scaled.floor() as usize).min(steps - 1);
    let part = scaled - below as f64;
    std::array::from_fn(|i| {
        let (low, high) = (f64::from(VIRIDIS[below][i]), f64::from(VIRIDIS[below + 1][i]));
        (low + part * (high - low)).round() as u8
    })
}

/// Returns the colour and the dash pattern of a line by its index. The first 28 lines differ.
pub(crate) fn stroke(index: usize) -> (&'static str, &'static str) {
    (LINES[index % LINES.len()], DASHES[index / LINES.len() % DASHES.len()])
}

/// Returns a grey that is visible on white and on black, and the dash pattern of a line by its index.
pub(crate) fn faint_stroke(index: usize) -> (&'static str, &'static str) {
    ("#808890", DASHES[(index + 1) % DASHES.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the CIE lightness of an sRGB colour.
    fn lightness(colour: [u8; 3]) -> f64 {
        let linear = colour.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        let luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        116.0 * luminance.cbrt() - 16.0
    }

    #[test]
    fn lightness_rises_evenly() {
        let steps: Vec<f64> = (0..=20).map(|i| lightness(rgb(f64::from(i) / 20.0))).collect();
        let rises: Vec<f64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = (steps[20] - steps[0]) / 20.0;
        assert!(rises.iter().all(|rise| (0.5 * mean..1.7 * mean).contains(rise)), "{rises:?}");
    }

    #[test]
    fn positions_outside_the_scale_are_clamped() {
        assert_eq!([scale(-1.0), scale(0.0), scale(f64::NAN)], ["#440154"; 3]);
        assert_eq!([scale(1.0), scale(7.0)], ["#fde725"; 2]);
    }

    #[test]
    fn lines_differ() {
        let strokes: Vec<_> = (0..28).map(stroke).collect();
        assert!((0..28).all(|i| !strokes[..i].contains(&strokes[i])));
    }
}
