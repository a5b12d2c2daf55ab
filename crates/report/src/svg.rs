//! A small builder for the SVG elements of the figures.

use crate::escape;
use std::fmt::{Display, Write as _};

/// The style sheet. Colours follow the reader's light or dark scheme, both in a page and in a separate file.
const STYLE: &str = "<style>\
.fg{fill:#1b1f24}.axis{stroke:#57606a}.grid{stroke:#d0d7de}.line{fill:none;stroke-width:1.8}\
@media(prefers-color-scheme:dark){.fg{fill:#e6edf3}.axis{stroke:#8b949e}.grid{stroke:#30363d}}\
text{font:12px system-ui,sans-serif}</style>";

/// The point at which a text is anchored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG image under construction. Sizes are in CSS pixels.
pub(crate) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    /// Returns an empty image.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    /// Adds a text in the foreground colour.
    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        self.placed_text(x, y, anchor, "", text);
    }

    /// Adds a text that runs from bottom to top, centred at a point.
    pub(crate) fn vertical_text(&mut self, x: f64, y: f64, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", number(x), number(y));
        self.placed_text(x, y, Anchor::Middle, &turn, text);
    }

    /// Adds a text with attributes, which are markup.
    fn placed_text(&mut self, x: f64, y: f64, anchor: Anchor, attributes: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text class=\"fg\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\"{attributes}>{}</text>",
            number(x),
            number(y),
            escape::html(text)
        ));
    }

    /// Adds a straight line. `attributes` are markup and must not contain untrusted text.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), attributes: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        self.push(format_args!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {attributes}/>"));
    }

    /// Adds a filled rectangle. `attributes` are markup.
    pub(crate) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), attributes: &str) {
        let [x, y, w, h] = [corner.0, corner.1, size.0, size.1].map(number);
        self.push(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {attributes}/>"));
    }

    /// Adds any other element, as markup.
    pub(crate) fn push(&mut self, markup: impl Display) {
        let _ = writeln!(self.body, "{markup}"); // writing to a String cannot fail
    }

    /// Returns the image. A screen reader reads `title` and `description`.
    pub(crate) fn finish(self, title: &str, description: &str) -> String {
        let (w, h) = (number(self.width), number(self.height));
        let (title, description) = (escape::html(title), escape::html(description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}: {description}\" \
             viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\">\n<title>{title}</title>\n\
             <desc>{description}</desc>\n{STYLE}\n{}</svg>\n",
            self.body
        )
    }
}

/// Formats a coordinate with at most two decimals.
pub(crate) fn number(value: f64) -> String {
    let text = crate::format::fixed(value, 2);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut svg = Svg::new(10.0, 20.5);
        svg.text(1.0, 2.0, Anchor::Start, "<b>");
        svg.rect((0.0, 0.0), (1.0, 1.0), "fill=\"#fff\"");
        let text = svg.finish("t\"", "d");
        assert!(text.contains("&lt;b&gt;"), "{text}");
        assert!(text.contains("viewBox=\"0 0 10 20.5\"") && text.contains("aria-label=\"t&quot;: d\""));
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([number(10.0), number(0.126), number(-0.001)], ["10", "0.13", "0"]);
    }
}
