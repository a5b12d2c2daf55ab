//! The leaderboard of all runs in a folder.

use bitkv_record::{Definition, Manifest};

use crate::page::{Boards, Entry};
use crate::{Run, escape};

/// A run folder of a leaderboard, before its rows are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRun {
    name: String,
    experiments: Vec<String>,
    /// When the run started, as a time stamp that sorts.
    started: String,
}

impl ListedRun {
    /// Returns the run of a folder with this name.
    pub fn new(name: &str, definition: &Definition, manifest: &Manifest) -> Self {
        let experiments = definition.names().iter().map(ToString::to_string).collect();
        Self { name: name.to_owned(), experiments, started: manifest.started.clone() }
    }

    /// Splits the number from the end of the name. A name without one has the number 1.
    fn numbered(&self) -> (&str, u32) {
        let split = self.name.rsplit_once('-').and_then(|(base, end)| Some((base, end.parse().ok()?)));
        split.unwrap_or((&self.name, 1))
    }

    /// Returns the name without the number at its end.
    fn base(&self) -> &str {
        self.numbered().0
    }

    /// Returns what orders runs by time. Time stamps have whole seconds, so numbers decide among equals.
    fn order(&self) -> (&str, u32) {
        (&self.started, self.numbered().1)
    }
}

/// The leaderboard of the runs in a folder. Runs are added one by one, so that their rows need not be in
/// memory together.
pub struct Leaderboard {
    /// All run folders, including those that are not added yet.
    listed: Vec<ListedRun>,
    boards: Boards,
}

impl Leaderboard {
    /// Returns a leaderboard for these run folders.
    pub fn new(listed: Vec<ListedRun>) -> Self {
        Self { listed, boards: Boards::default() }
    }

    /// Adds the run of a folder. `report` is the name of its report in that folder, if there is one.
    pub fn add(&mut self, name: &str, run: Run<'_>, report: Option<&str>) {
        let report = report.map(|report| escape::url_path(&format!("{name}/{report}")));
        self.boards.add(&Entry { name, run, report, later: later(name, &self.listed) });
    }

    /// Returns one self-contained HTML page for the folder that contains the run folders.
    pub fn to_html(&self) -> String {
        self.boards.html()
    }
}

/// Returns the latest run that has the experiments of the run `name` and started after it. Their names differ
/// in the number at the end alone, as [`bitkv_record::free_name`] numbers runs: `verify-3` follows
/// `verify-2` and `verify`.
fn later<'a>(name: &str, listed: &'a [ListedRun]) -> Option<&'a str> {
    let own = listed.iter().find(|run| run.name == name)?;
    let is_later = |run: &&ListedRun| {
        let is_same = run.base() == own.base() && run.experiments == own.experiments;
        is_same && run.order() > own.order()
    };
    let latest = listed.iter().filter(is_later).max_by(|a, b| a.order().cmp(&b.order()));
    latest.map(|run| run.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::{ListedRun, later};

    fn listed(name: &str, experiments: &str, started: &str) -> ListedRun {
        let experiments = vec![experiments.to_owned()];
        ListedRun { name: name.into(), experiments, started: started.into() }
    }

    #[test]
    fn the_run_that_started_last_is_the_latest() {
        let runs = [
            listed("verify", "compression", "2026-01-01T00:00:00Z"),
            listed("verify-2", "compression", "2026-01-03T00:00:00Z"),
            listed("verify-10", "compression", "2026-01-02T00:00:00Z"),
            listed("texts-100", "short", "2026-01-01T00:00:00Z"),
            listed("texts-200", "long", "2026-01-02T00:00:00Z"),
        ];
        assert_eq!(later("verify", &runs), Some("verify-2"));
        assert_eq!(later("verify-10", &runs), Some("verify-2"));
        assert_eq!(later("verify-2", &runs), None);
        assert_eq!(later("texts-100", &runs), None, "its experiments are others");
    }
}
