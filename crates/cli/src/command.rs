//! The subcommands: each has its own file and one entry here. Help, dispatch and the table of the README follow.

use anyhow::Result;
use bitkv_evict::Registry;
use bitkv_report::Table;
use clap::{CommandFactory, Subcommand};

use crate::{
    Arguments, bench, compare, convert, doctor, generate, inspect, list, memory, plan, profile, random,
    report, run, trace, train, verify,
};

/// Declares the subcommands: what each does, its name and its file, whether it reads the registry, and an example of its
/// arguments.
macro_rules! commands {
    (
        $registry:ident;
        $($(#[$about:meta])* $name:ident = $file:ident($($with:ident)?), $example:literal;)+
    ) => {
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($(#[$about])* $name($file::Arguments),)+
        }

        impl Command {
            /// Runs it with the methods that policies can name.
            pub(crate) fn run(&self, $registry: &Registry) -> Result<()> {
                match self {
                    $(Command::$name(arguments) => $file::run(arguments $(, $with)?),)+
                }
            }
        }

        /// Name and example of every subcommand, in the order of the help.
        const EXAMPLES: &[(&str, &str)] = &[$((stringify!($file), $example)),+];
    };
}

commands! {
    registry;
    /// Measure the published claims on a model and write a report; resumes.
    ///
    /// Both built-in models by default, or any `--model`: memory, head classes, compression end to end, and the
    /// verdicts. It is the experiment `experiments/verify.toml`, a run like any other.
    Verify = verify(registry), "";
    /// Memory of weights, KV cache and activations against context length.
    ///
    /// The accounting is `published` or `actual`. `microsoft/bitnet-b1.58-2B-4T` and `1bitLLM/bitnet_b1_58-large`
    /// need no weights.
    Memory = memory(), "--model M --context 512,2048";
    /// Attention entropy and class of every head over calibration texts.
    ///
    /// It also writes the published profile format, which `--profile` reads.
    Profile = profile(registry), "--model M";
    /// The positions a policy keeps in every layer and KV head.
    ///
    /// `--tensors FILE` plans for queries, keys and values of any model, and `--export` writes the plan for an
    /// engine.
    Plan = plan(registry), "--model M --text FILE --policy P --budget B";
    /// Generate text, with any policy and budget.
    ///
    /// It streams. Several prompts are generated at once, `-` reads standard input, and `--chat` puts the prompt into
    /// the chat template.
    Generate = generate(registry), "--model M --prompt S";
    /// Norms of every step of a forward pass, its logits, hidden states, queries, keys and values.
    ///
    /// `--out` writes the tensors, and `--engine reference` computes in plain candle.
    Trace = trace(), "--model M --prompt S";
    /// Write a checkpoint in another format: a packed Hugging Face folder or a GGUF file.
    ///
    /// Every code and every scale is kept.
    Convert = convert(), "M OUT --to F";
    /// What a checkpoint contains, tensor by tensor.
    ///
    /// It shows histograms of the codes, scales and memory.
    Inspect = inspect(), "M";
    /// What is wrong with a checkpoint, what that means, and what to do about it.
    Doctor = doctor(), "M";
    /// Write a random packed checkpoint of a given shape.
    Random = random(), "--shape 2b-4t --out DIR";
    /// Run an experiment definition; an interrupted run is resumed.
    ///
    /// Policies by budgets by texts, with one prefill a text. `--list`, `--dry-run` and `--only` choose.
    Run = run(registry), "FILE";
    /// Show a finished run again from its rows, write its report anew, or put its findings into a document.
    ///
    /// `--write` makes the report, and `--splice FILE` the table of findings in a document.
    Report = report(), "RUN";
    /// Compare two runs cell by cell, with paired intervals.
    Compare = compare(), "A B";
    /// Tokens a second, beside what the machine could do: prefill and decode of a model or of a random one.
    Bench = bench(), "--shape 2b-4t";
    /// Models, policies, metrics, experiments and commands there are.
    List = list(registry), "";
    /// Train a small BitNet from a folder of text; resumes what it finds.
    Train = train(), "--recipe FILE --corpus DIR --out DIR";
}

/// A subcommand as lists show it.
#[derive(serde::Serialize)]
pub(crate) struct Described {
    name: &'static str,
    example: String,
    does: String,
}

/// Every subcommand, in the order of the help.
pub(crate) fn described() -> Vec<Described> {
    let help = Arguments::command();
    let described = |&(name, arguments): &(&'static str, &str)| {
        let about = help.find_subcommand(name).and_then(|command| {
            let about = command.get_long_about().or(command.get_about())?;
            let about = about.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Some(about.trim_end_matches('.').to_owned() + ".")
        });
        let example = format!("bitkv {name} {arguments}").trim_end().to_owned();
        Described { name, example, does: about.unwrap_or_default() }
    };
    EXAMPLES.iter().map(described).collect()
}

/// The same as a table.
pub(crate) fn table() -> Table {
    let mut table = Table::titled("Commands", "command|does");
    described().into_iter().for_each(|command| table.push(vec![command.example, command.does]));
    table
}

/// The same as a Markdown table, in which what stands between backticks stays code.
pub(crate) fn markdown() -> String {
    let row = |command: Described| format!("| `{}` | {} |\n", command.example, command.does);
    let rows: String = described().into_iter().map(row).collect();
    format!("| command | does |\n| --- | --- |\n{rows}")
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
        assert!(described().iter().all(|command| command.does.len() > 20));
        Arguments::command().debug_assert();
    }
}
