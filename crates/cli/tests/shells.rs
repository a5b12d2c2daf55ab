//! `bitkv completions` and `bitkv man`: scripts and pages that have every command.

mod support;

use std::{
    fs,
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

use support::Place;

/// Returns the names of the commands, without `help`.
fn commands() -> Vec<String> {
    bitkv_cli::command_line().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn every_script_has_every_command_and_its_options() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.text(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell} lacks {command}");
        }
        assert!(script.contains("budget-tokens") && script.contains("verbose"), "{shell} lacks options");
    }
}

#[test]
fn bash_accepts_its_script() {
    let script = Place::new().text(&["completions", "bash"]);
    let bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut bash = match bash {
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        started => started.unwrap(),
    };
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn an_unknown_shell_is_refused_with_the_known_ones() {
    let output = Place::new().run(&["completions", "tcsh"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty() && said.contains("'tcsh'") && said.contains("elvish"), "{said}");
}

#[test]
fn a_folder_gets_one_page_for_each_command() {
    let place = Place::new();
    let said = place.text(&["man", "--out", "pages/man1"]);
    let mut expected: Vec<String> = commands().iter().map(|name| format!("bitkv-{name}.1")).collect();
    expected.push("bitkv.1".to_owned());
    expected.sort();
    let written = fs::read_dir(place.path("pages/man1")).unwrap();
    let mut written: Vec<String> =
        written.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    written.sort();
    assert_eq!(written, expected);
    assert_eq!(said, format!("pages/man1: {} pages\n", expected.len()));
    for name in commands() {
        let page = fs::read_to_string(place.path(&format!("pages/man1/bitkv-{name}.1"))).unwrap();
        assert_eq!(page, place.text(&["man", &name]), "{name}");
        assert!(page.contains(&format!(".TH bitkv-{name} 1")), "{page}");
        let (before, examples) = page.split_once("\n.SH EXAMPLES\n").unwrap_or_else(|| panic!("{page}"));
        assert!(before.contains("\n.SH SYNOPSIS\n") && before.contains("\n.SH OPTIONS\n"), "{page}");
        assert_eq!(examples.matches(&format!("\n  bitkv {name}")).count(), 2, "{examples}");
        assert!(!page.contains('\u{1b}') && !page.contains("Examples:"), "{page}");
    }
    // Every line is text or a request of roff, and no text begins like one.
    let program = place.text(&["man"]);
    assert_eq!(program, fs::read_to_string(place.path("pages/man1/bitkv.1")).unwrap());
    let requests = program.lines().filter(|line| line.starts_with(['.', '\'']));
    assert!(requests.clone().count() > 10);
    for request in requests {
        assert!(
            [".ie", ".el", ".TH", ".SH", ".TP", ".PP", ".RE", ".RS", ".br"].contains(&&request[..3]),
            "{request}"
        );
    }
    for name in commands() {
        assert!(program.contains(&format!("bitkv\\-{name}(1)")), "{name}");
    }
}

#[test]
fn pages_that_cannot_be_made_are_refused() {
    let place = Place::new();
    place.refuses(&["man", "verfy"], &["there is no command verfy", "verify"]);
    place.write("pages", "a file");
    place.refuses(&["man", "--out", "pages"], &["--out pages is not a folder: name a folder"]);
}
