//! Turns the table of subcommands into the type that clap parses, the dispatch, the examples in the help, and
//! the table of the README.

use bitkv_report::Table;
use clap::builder::{StyledStr, Styles};

use crate::{
    USAGES, command_line,
    markdown::{head, row},
};

/// Declares the subcommands. An entry has the help of the command as a doc comment, then its name, its file,
/// whether its `run` takes the registry, the arguments that the README shows, and two examples:
/// `command line => what it does`.
macro_rules! commands {
    (
        $registry:ident;
        $(
            $(#[$about:meta])* $name:ident = $file:ident($($with:ident)?), $usage:literal,
            [$($example:literal => $purpose:literal,)+];
        )+
    ) => {
        /// A subcommand with its arguments.
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum Command {
            $(
                $(#[$about])*
                #[command(after_help = command::examples(&[$(($example, $purpose)),+]))]
                $name($file::Arguments),
            )+
        }

        impl Command {
            /// Runs the command. Policies may name the methods of the registry.
            pub(crate) fn run(&self, $registry: &bitkv_evict::Registry) -> anyhow::Result<()> {
                match self {
                    $(Command::$name(arguments) => $file::run(arguments $(, $with)?),)+
                }
            }
        }

        /// The name of every subcommand and the arguments that the README shows, in the order of the help.
        pub(crate) const USAGES: &[(&str, &str)] = &[$((stringify!($file), $usage)),+];
    };
}

pub(crate) use commands;

/// Formats the examples at the end of the help of a command: a comment and the command line of each.
pub(crate) fn examples(examples: &[(&str, &str)]) -> StyledStr {
    let header = *Styles::styled().get_header();
    let lines: String = examples.iter().map(|(line, purpose)| format!("\n  # {purpose}\n  {line}")).collect();
    format!("{header}Examples:{header:#}{lines}").into()
}

/// A subcommand as `bitkv list commands` shows it.
#[derive(serde::Serialize)]
pub(crate) struct ListedCommand {
    name: &'static str,
    example: String,
    does: String,
}

/// Returns every subcommand, in the order of the help.
pub(crate) fn listed() -> Vec<ListedCommand> {
    let help = command_line();
    let listed = |&(name, arguments): &(&'static str, &str)| {
        let about = help.find_subcommand(name).and_then(|command| {
            let about = command.get_long_about().or(command.get_about())?;
            let about = about.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Some(about.trim_end_matches('.').to_owned() + ".")
        });
        let example = format!("bitkv {name} {arguments}").trim_end().to_owned();
        ListedCommand { name, example, does: about.unwrap_or_default() }
    };
    USAGES.iter().map(listed).collect()
}

/// Returns the subcommands as a table for the terminal.
pub(crate) fn table() -> Table {
    let mut table = Table::titled("Commands", "command|does");
    listed().into_iter().for_each(|command| table.push(vec![command.example, command.does]));
    table
}

/// Returns the subcommands as a Markdown table. Text between backticks stays code.
pub(crate) fn markdown() -> String {
    let line = |command: ListedCommand| row(&[&format!("`{}`", command.example), &command.does]);
    head(&["command", "does"]) + &listed().into_iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_table_of_commands() {
        const README: &str = include_str!("../../../README.md");
        let due = bitkv_report::splice(README, "commands", &markdown()).unwrap();
        assert!(due == README, "run `bitkv list commands --splice README.md`");
    }

    #[test]
    fn every_command_says_what_it_does() {
        assert!(listed().iter().all(|command| command.does.len() > 20));
        command_line().debug_assert();
    }
}
