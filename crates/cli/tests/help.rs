//! The help of every command ends with two examples, and the command line accepts them.

use std::path::Path;

use clap::Command;

/// The commands except `help`, which clap adds.
fn subcommands() -> Vec<Command> {
    let mut command = bitkv_cli::command_line();
    command.build();
    command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help").cloned().collect()
}

/// Returns the lines after `Examples:` in a help text. There must be exactly one such section.
#[track_caller]
fn example_section(help: &str) -> Vec<&str> {
    let (before, section) = help.split_once("\nExamples:\n").expect("the help has examples");
    assert!(!before.contains("Examples:") && !section.contains("Examples:"), "{help}");
    section.lines().map(str::trim).collect()
}

/// Splits a command line into arguments as a shell does. Examples use only double quotes.
fn arguments(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    for (index, piece) in line.split('"').enumerate() {
        match index % 2 {
            0 => arguments.extend(piece.split_whitespace().map(str::to_owned)),
            _ => arguments.push(piece.to_owned()),
        }
    }
    arguments
}

#[test]
fn every_help_ends_with_two_examples() {
    for mut command in subcommands() {
        let start = format!("bitkv {} ", command.get_name());
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            let lines = example_section(&help);
            assert_eq!(lines.len(), 4, "two comments and two command lines: {lines:?}");
            for pair in lines.chunks(2) {
                let comment = pair[0].strip_prefix("# ").unwrap_or_else(|| panic!("no comment: {pair:?}"));
                assert!(comment.len() > 10 && comment.starts_with(char::is_uppercase), "{pair:?}");
                assert!(format!("{} ", pair[1]).starts_with(&start), "{pair:?}");
            }
            assert_ne!(lines[1], lines[3]);
        }
    }
}

#[test]
fn every_example_is_accepted() {
    for mut command in subcommands() {
        let help = command.render_help().to_string();
        for line in example_section(&help).into_iter().filter(|line| line.starts_with("bitkv ")) {
            let matches = bitkv_cli::command_line().try_get_matches_from(arguments(line));
            let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(matches.subcommand_name(), Some(command.get_name()), "{line}");
        }
    }
}

/// An argument that begins with a committed folder must name a file or a folder that exists.
#[test]
fn files_of_examples_exist() {
    const FOLDERS: [&str; 7] =
        ["calibration", "crates", "docs", "experiments", "models", "results", "testdata"];
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    for mut command in subcommands() {
        let help = command.render_help().to_string();
        for line in example_section(&help).into_iter().filter(|line| line.starts_with("bitkv ")) {
            for argument in arguments(line) {
                let folder = argument.split_once('/').map(|(folder, _)| folder);
                if folder.is_some_and(|folder| FOLDERS.contains(&folder)) {
                    assert!(repository.join(&argument).exists(), "{line}: no {argument}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn the_help_of_the_program_says_what_it_is() {
    let help = bitkv_cli::command_line().render_help().to_string();
    let about = help.lines().next().unwrap();
    assert_eq!(about.matches(". ").count() + 1, 2, "two sentences: {about}");
    assert!(about.starts_with("bitkv ") && about.ends_with('.'), "{about}");
    for command in subcommands() {
        let about = command.get_about().expect("every command has a sentence").to_string();
        assert!(!about.contains(". ") && about.len() > 20, "one sentence: {about}");
        assert!(help.contains(&about), "{about}");
    }
}

/// Options that were renamed still have their old names, so that old scripts work.
#[test]
fn old_spellings_are_accepted() {
    let lines = [
        ("generate --model m --prompt p --head int8", "generate --model m --prompt p --lm-head int8"),
        ("generate --model m --prompt p --skeleton llama", "generate --model m --prompt p --as plain-llama"),
        ("bench --shape large --head int8", "bench --shape large --lm-head int8"),
        ("bench --shape large --cut uneven", "bench --shape large --head-budgets uneven"),
        ("profile --model m --rows all", "profile --model m --queries all"),
    ];
    for (old, new) in lines {
        let values = [old, new].map(|line| {
            let words = std::iter::once("bitkv").chain(line.split(' '));
            let matches = bitkv_cli::command_line().try_get_matches_from(words);
            let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
            let (_, given) = matches.subcommand().unwrap();
            let mut values: Vec<String> = given
                .ids()
                .filter_map(|id| Some(format!("{id} {:?}", given.get_raw(id.as_str())?.collect::<Vec<_>>())))
                .collect();
            values.sort();
            values
        });
        let last = |values: &[String]| values.join("\n").replace("\"llama\"", "\"plain-llama\"");
        assert_eq!(last(&values[0]), last(&values[1]), "{old}");
    }
}
