//! `bitkv man`: the manual pages, from the same text as the help.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_bytes::disk;
use bitkv_spelling::suggestion;
use clap::Command;
use clap_mangen::Man;

use crate::{
    USAGES, command_line, output,
    target::{ForceArgument, Target},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The command whose page is printed [default: the program].
    #[arg(conflicts_with = "out")]
    command: Option<String>,
    /// Write the page of the program and the page of every command into this folder. It is made if it does
    /// not exist.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgument,
}

/// A manual page.
struct Page {
    /// The name of its file, such as `bitkv-run.1`.
    file: String,
    /// Its text in the format of roff.
    text: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut program = command_line().disable_help_subcommand(true);
    program.build();
    if let Some(folder) = &arguments.out {
        return write(&program, folder, arguments.force);
    }
    let Some(name) = &arguments.command else { return output::text(&page(&program)?.text) };
    let Some(command) = program.find_subcommand(name) else {
        let known: Vec<&str> = USAGES.iter().map(|(name, _)| *name).collect();
        bail!("there is no command {name}: {}", suggestion(name, &known));
    };
    output::text(&page(command)?.text)
}

/// Writes all pages into a folder. All are made before the first is written.
fn write(program: &Command, folder: &Path, force: ForceArgument) -> Result<()> {
    ensure!(
        folder.is_dir() || folder.symlink_metadata().is_err(),
        "--out {} is not a folder: name a folder for the pages",
        folder.display()
    );
    let all = [program].into_iter().chain(program.get_subcommands());
    let pages = all.map(page).collect::<Result<Vec<Page>>>()?;
    disk::create_folders(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let paths: Vec<PathBuf> = pages.iter().map(|page| folder.join(&page.file)).collect();
    let targets = paths.iter().map(|path| Target::new("--out", path, force)).collect::<Result<Vec<_>>>()?;
    targets.iter().zip(&pages).try_for_each(|(target, page)| target.write(page.text.as_bytes()))?;
    output::text(&format!("{}: {} pages\n", folder.display(), pages.len()))
}

/// Returns the page of a command. Its examples have the heading of manual pages.
fn page(command: &Command) -> Result<Page> {
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text)?.replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n");
    let text = text.replace("\n.SH EXAMPLES\nExamples:\n", "\n.SH EXAMPLES\n");
    Ok(Page { file: page.get_filename(), text })
}
