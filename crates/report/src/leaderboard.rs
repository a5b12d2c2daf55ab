//! The leaderboard of all runs in a folder.

use crate::Run;
use crate::page::{Boards, Entry};

/// The leaderboard of the runs in a folder. Runs are added one by one, so that their rows need not be in
/// memory together.
pub struct Leaderboard {
    /// The names of all run folders, including those that are not added yet.
    names: Vec<String>,
    boards: Boards,
}

impl Leaderboard {
    /// Returns a leaderboard for run folders with these names.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, boards: Boards::default() }
    }

    /// Adds the run of a folder. `report` is the name of its report in that folder, if there is one.
    pub fn add(&mut self, name: &str, run: Run<'_>, report: Option<&str>) {
        let report = report.map(|report| format!("{name}/{report}"));
        self.boards.add(&Entry { name, run, report, newer: newer(name, &self.names) });
    }

    /// Returns one self-contained HTML page for the folder that contains the run folders.
    pub fn to_html(&self) -> String {
        self.boards.html()
    }
}

/// Returns the newest of the runs whose name is that of a run with a higher number at its end, as
/// [`bitkv_record::free_name`] numbers them: `verify-3` is newer than `verify-2` and `verify`.
fn newer<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let (base, number) = numbered(name);
    let same = names.iter().map(String::as_str).filter(|other| numbered(other).0 == base);
    same.max_by_key(|other| numbered(other).1).filter(|newest| numbered(newest).1 > number)
}

/// Splits the number from the end of a name. A name without one has the number 1.
fn numbered(name: &str) -> (&str, u32) {
    let split = name.rsplit_once('-').and_then(|(base, number)| Some((base, number.parse().ok()?)));
    split.unwrap_or((name, 1))
}

#[cfg(test)]
mod tests {
    use super::newer;

    #[test]
    fn the_highest_number_is_the_newest_run() {
        let names = ["verify", "verify-2", "verify-10", "sinks", "plain-llama"].map(str::to_owned);
        assert_eq!(newer("verify", &names), Some("verify-10"));
        assert_eq!(newer("verify-2", &names), Some("verify-10"));
        assert_eq!((newer("verify-10", &names), newer("sinks", &names)), (None, None));
    }
}
