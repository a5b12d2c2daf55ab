//! Escape sequences appear only if standard output or standard error is a terminal, and never with
//! `NO_COLOR`.

mod support;

use std::path::Path;

use support::Place;

const ESCAPE: u8 = 0x1b;

/// Commands whose help, errors, verdicts and tables have colour on a terminal.
const COLOURFUL: [&[&str]; 6] = [
    &["--help"],
    &["verify", "--help"],
    &["verify", "--nonsense"],
    &["verify", "--dry-run", "--model", "absent"],
    &["run", "absent.toml"],
    &["report", "results"],
];

/// Runs a command with variables for colour, and returns standard output and standard error.
fn output(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Vec<u8> {
    let mut command = place.command(arguments);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    assert!(!both.is_empty());
    both
}

/// A folder in which `results` is a run with verdicts.
fn place() -> Place {
    let place = Place::new();
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/verify-2");
    std::os::unix::fs::symlink(run, place.path("results")).unwrap();
    place
}

#[test]
fn a_pipe_gets_no_colour_and_no_color_forbids_it() {
    let place = place();
    for arguments in COLOURFUL {
        for variables in [
            &[][..],
            &[("NO_COLOR", "1")],
            &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
            &[("TERM", "xterm-256color"), ("CLICOLOR", "1")],
        ] {
            let shown = output(&place, arguments, variables);
            assert!(!shown.contains(&ESCAPE), "{arguments:?} with {variables:?}");
        }
    }
}

#[test]
fn clicolor_force_gives_colour_and_the_same_words() {
    let place = place();
    for arguments in COLOURFUL {
        let plain = String::from_utf8(output(&place, arguments, &[])).unwrap();
        let coloured = String::from_utf8(output(&place, arguments, &[("CLICOLOR_FORCE", "1")])).unwrap();
        assert!(coloured.contains('\u{1b}'), "{arguments:?} has no colour");
        assert_eq!(console::strip_ansi_codes(&coloured), plain, "{arguments:?}");
    }
    let report = output(&place, &["report", "results"], &[("CLICOLOR_FORCE", "1")]);
    let report = String::from_utf8(report).unwrap();
    assert!(report.contains("- \u{1b}[33m\u{1b}[1mPARTLY HOLDS\u{1b}[0m: "), "yellow");
}

/// `verify` measures, so it runs once with each stream in a pipe.
#[test]
fn a_verification_in_a_pipe_has_no_colour() {
    let place = place();
    let small = "verify --model first-gqa --calibration-tokens 64 --context-tokens 96 --scored-tokens 32 --recalls 2 \
                 --policy uniform+recency --budget 0.5 --out run";
    let arguments: Vec<&str> = small.split(' ').collect();
    let shown = output(&place, &arguments, &[]);
    assert!(!shown.contains(&ESCAPE));
    assert!(String::from_utf8(shown).unwrap().contains("== Verdicts =="));
}
