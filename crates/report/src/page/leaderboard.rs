//! The leaderboard: all runs of a folder on one page, with the policies of each ranked by measure and budget.

use serde_json::{Value, json};

use super::blocks;
use super::figures::Figures;
use super::rows::packed_json;
use super::shell::{Section, page};
use crate::escape::html as escape;
use crate::experiment;
use crate::kinds::Kinds;
use crate::{Run, claims, sections, unique};

const TITLE: &str = "bitkv leaderboard";
const NOTE: &str = "Each board has the policies of one run that were measured at equal memory on the same texts, the best first. \
Places are for policies that can be deployed; controls and oracles are references without a place. The difference from the first place is \
paired by text, with its 95 % interval. The last column compares with random choice, corrected for the \
comparisons of one model and measure at all budgets: a policy that is worse than random choice is a loser. Boards of different runs have \
different texts and are not comparable.";

/// A run on the leaderboard.
pub(crate) struct Entry<'a> {
    /// The name of the folder.
    pub(crate) name: &'a str,
    pub(crate) run: Run<'a>,
    /// The report in the folder, relative to the page, if there is one.
    pub(crate) report: Option<String>,
    /// The name of a later run of the same experiments, if there is one.
    pub(crate) later: Option<&'a str>,
}

/// A leaderboard under construction. It keeps the boards and the cards of its runs, but not their rows.
#[derive(Default)]
pub(crate) struct Boards {
    boards: Vec<Value>,
    cards: String,
    models: Vec<String>,
    runs: usize,
}

impl Boards {
    /// Adds a run.
    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        self.boards.extend(boards(entry));
        self.cards += &card(entry);
        self.models.extend(claims::models(&entry.run));
        self.runs += 1;
    }

    /// Returns the page.
    pub(crate) fn html(&self) -> String {
        let mut figures = Figures::default();
        let ranks = figures.ranks("Policies by measure, budget and model", NOTE);
        let (runs, boards) = (self.runs, self.boards.len());
        let models = unique(self.models.iter()).len();
        let head = format!(
            "<header>\n<p class=\"eyebrow\">{TITLE}</p>\n<h1>Which policy loses least, by measure, budget and model?</h1>\n\
             <p>{runs} runs of {models} models, {boards} boards. Every number follows from the rows of the runs.</p>\n\
             </header>\n{ranks}"
        );
        let packed = packed_json(&json!(self.boards));
        page(TITLE, &head, &[Section::new("Runs", self.cards.clone())], &figures, packed.as_deref())
    }
}

/// Returns the boards of one run.
fn boards(entry: &Entry<'_>) -> Vec<Value> {
    let kinds = Kinds::new(&entry.run);
    let of_experiment = |name: &str| {
        let mut boards = experiment::boards(&entry.run, name);
        boards.iter_mut().for_each(|board| kinds.mark(&mut board.model));
        let run = entry.name.to_owned();
        let later = entry.later.unwrap_or_default().to_owned();
        let name = name.to_owned();
        boards
            .into_iter()
            .map(move |board| json!({"run": run, "later": later, "experiment": name, "board": board}))
            .collect::<Vec<Value>>()
    };
    experiment::names(&entry.run).into_iter().flat_map(of_experiment).collect()
}

/// Returns the card of one run: its question, its answers, and where its report is.
fn card(entry: &Entry<'_>) -> String {
    let run = &entry.run;
    let experiments = super::experiments(run);
    let answers = super::answers::list(run, &claims::all(run), &experiments);
    let name = escape(entry.name);
    let question = escape(&super::question(&run.definition.analysis));
    let mut html = format!("<h3>{name}</h3>\n<p>{question}</p>\n");
    if let Some(later) = entry.later {
        html += &format!("<p class=\"note\">A later run of these experiments is {}.</p>\n", escape(later));
    }
    html += &blocks::blocks(&[sections::provenance(run.manifest)]);
    if let Some(report) = &entry.report {
        html += &format!("<p><a href=\"{}\">Report of {name}</a></p>\n", escape(report));
    }
    let folded = format!("<details>\n<summary>What {name} shows</summary>\n{answers}</details>\n");
    html + if answers.is_empty() { "" } else { &folded }
}
