//! Colour on terminals: which stream gets it, and the colours of errors and verdicts. A colour never replaces
//! a word.

use std::env;

use bitkv_report::claims::Verdict;
use console::{Color, style};

/// The verdicts that have a colour.
const COLOURS: [(Verdict, Color); 3] = [
    (Verdict::Holds, Color::Green),
    (Verdict::PartlyHolds, Color::Yellow),
    (Verdict::DoesNotHold, Color::Red),
];

/// Chooses where colour is used. `NO_COLOR` has precedence over `CLICOLOR_FORCE`, as for clap's help and
/// errors; otherwise only terminals get colour.
pub(crate) fn begin() {
    if env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        console::set_colors_enabled(false);
        console::set_colors_enabled_stderr(false);
    }
}

/// Returns the word that begins an error, in red if standard error has colour.
pub(crate) fn error_word() -> String {
    style("error:").for_stderr().red().bold().to_string()
}

/// Colours the verdicts at the end of a report if standard output has colour: each is the first words of an
/// item of a list.
pub(crate) fn with_coloured_verdicts(report: &str) -> String {
    report.split_inclusive('\n').map(coloured).collect()
}

/// Colours the verdict with which a line begins, if it does.
fn coloured(line: &str) -> String {
    let verdict = COLOURS.iter().find_map(|(verdict, colour)| {
        let word = verdict.name().to_uppercase();
        let rest = line.strip_prefix("- ")?.strip_prefix(&word)?.strip_prefix(": ")?;
        Some(format!("- {}: {rest}", style(word).fg(*colour).bold()))
    });
    verdict.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verdict_of_a_line_has_colour() {
        console::set_colors_enabled(true);
        let report =
            "- PARTLY HOLDS: a (b HOLDS: c)\n- DOES NOT HOLD: d\n- HOLDS: e\n- NOT TESTED: f\nHOLDS: g\n";
        let shown = with_coloured_verdicts(report);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "- \u{1b}[33m\u{1b}[1mPARTLY HOLDS\u{1b}[0m: a (b HOLDS: c)");
        assert!(lines[1].contains("[31m") && lines[2].contains("[32m"), "{shown:?}");
        assert_eq!(lines[3..], ["- NOT TESTED: f", "HOLDS: g"]);
        assert_eq!(console::strip_ansi_codes(&shown), report);
    }
}
