//! The figures of a page: their places in the text, and the data that the script draws there.

use super::data::{ChartData, DepthData, ForestData, HeadsData};
use crate::escape::html as escape;
use serde_json::{Value, json};

const FOREST_NOTE: &str = "Each line is the first policy minus the second, paired by text, with its 95 % interval. Verdicts are those of \
the table of differences, which corrects for the number of comparisons.";
const HEADS_NOTE: &str = "Each square is a query head. Point at one, or focus the map and use the arrow keys, to read its scores. \
Select it to pin its card.";
const DEPTH_NOTE: &str = "Depth is the position of the answer in the context. Each cell has the share of right answers and the number \
of questions.";

/// The figures of a page in the order of their numbers.
#[derive(Default)]
pub(super) struct Figures {
    all: Vec<Value>,
}

impl Figures {
    /// Adds a chart and returns its place. It shows `measure` first, if a panel has it.
    pub(super) fn chart(&mut self, chart: &ChartData, measure: &str) -> String {
        self.add("chart", &chart.title, &chart.note, json!({"data": chart, "measure": measure}))
    }

    /// Adds paired differences and returns their place.
    pub(super) fn forest(&mut self, forest: &ForestData) -> String {
        self.add("forest", &forest.title, FOREST_NOTE, json!({"data": forest}))
    }

    /// Adds right answers by depth and returns their place.
    pub(super) fn depths(&mut self, depths: &DepthData) -> String {
        self.add("depths", &depths.title, DEPTH_NOTE, json!({"data": depths}))
    }

    /// Adds the heads of a study and returns their place.
    pub(super) fn heads(&mut self, heads: &HeadsData) -> String {
        self.add("heads", &heads.title, HEADS_NOTE, json!({"data": heads}))
    }

    /// Adds the boards of a leaderboard, which are the packed data of the page, and returns their place.
    pub(super) fn ranks(&mut self, title: &str, note: &str) -> String {
        self.add("ranks", title, note, json!({}))
    }

    /// Adds a figure and returns its place in the page.
    fn add(&mut self, kind: &str, title: &str, note: &str, mut figure: Value) -> String {
        let index = self.all.len();
        figure["kind"] = json!(kind);
        self.all.push(figure);
        let (title, note) = (escape(title), escape(note));
        format!(
            "<figure class=\"interactive {kind}\" data-figure=\"{index}\" aria-label=\"{title}\">\n\
             <p class=\"title\">{title}</p>\n<div class=\"view\"></div>\n<figcaption>{note}</figcaption>\n</figure>\n"
        )
    }

    /// Returns the data of all figures as JSON that cannot end its script element.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.all).unwrap_or_default().replace('<', "\\u003c")
    }
}
