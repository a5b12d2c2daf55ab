//! Texts, charts and heat maps as blocks of a document.

use crate::HeatMap;
use crate::curve::Chart;
use crate::document::{Block, Figure};

/// Text as it was written, divided at empty lines.
pub(crate) fn paragraphs(text: &str) -> Vec<Block> {
    let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts.filter(|part| !part.is_empty()).map(Block::Text).collect()
}

/// A heat map with what its cells mean.
pub(crate) fn mapped(map: &HeatMap) -> Block {
    figure(&map.title, format!("{}.", map.description()), map.to_svg())
}

/// A chart with what its marks mean.
pub(crate) fn drawn(chart: &Chart, remark: &str) -> Block {
    let sentences = [chart.reading(), remark.to_owned()];
    let note = sentences.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
    figure(&chart.title, note, chart.to_svg())
}

fn figure(caption: &str, note: String, svg: String) -> Block {
    Block::Figure(Figure { id: String::new(), caption: caption.to_owned(), note, svg })
}
