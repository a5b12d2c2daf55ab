//! The command line `bitkv`: its arguments, its output, progress bars and exit codes.
//!
//! [`main`] runs the command line with a [`Registry`] of the methods that policies can name. A program with
//! its own policy is this command line with one more method in the registry, as `examples/own-policy` shows.
//!
//! Each subcommand has one file, with its arguments and a function `run`; the work is done by the other
//! crates. The table `commands!` below declares the subcommands with their help.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod advise;
mod bars;
mod bench;
mod budget;
mod colour;
mod command;
mod compare;
mod completions;
mod convert;
mod definitions;
mod doctor;
mod first_tokens;
mod generate;
mod input;
mod inspect;
mod interrupt;
mod kv;
mod leaderboard;
mod limit;
mod list;
mod lm_head;
mod man;
mod markdown;
mod measuring;
mod memory;
mod merge;
mod model;
mod number;
mod output;
mod plan;
mod policy_tables;
mod profile;
mod random;
mod report;
mod run;
mod shards;
mod slurm;
mod sweep;
mod target;
mod threads;
mod trace;
mod train;
mod verbosity;
mod verify;

use std::{process::ExitCode, time::Instant};

use bitkv_evict::Registry;
use clap::{CommandFactory, FromArgMatches, Parser};

use command::commands;
use verbosity::VerbosityArguments;

// A new subcommand needs its own file, a `mod` above, and an entry here: its help, its file, the arguments
// that the README shows, and two examples that work in a fresh clone of the repository.
commands! {
    registry;
    /// Verify the published claims about the entropy-adaptive KV cache on a model, and write a report.
    ///
    /// The claims concern memory, the classes of attention heads, and compression; each gets a verdict.
    /// Without `--model`, both built-in models are measured. The command runs the definition
    /// `experiments/verify.toml`. An interrupted run resumes. The exit code is 1 if a cell failed.
    Verify = verify(registry), "", [
        "bitkv verify" => "Verify the claims on both built-in models; the report is runs/verify/report.html.",
        "bitkv verify --model tiny-gqa --recalls 5 --out runs/verify-tiny-gqa" =>
            "Verify the claims on one model, with 5 retrieval contexts instead of 20.",
    ];
    /// Show the memory of weights, KV cache and activations at several context lengths.
    ///
    /// The published models `microsoft/bitnet-b1.58-2B-4T` and `1bitLLM/bitnet_b1_58-large` need no weights,
    /// because bitkv knows their configurations.
    Memory = memory(), "--model M --context 512,2048", [
        "bitkv memory --model microsoft/bitnet-b1.58-2B-4T --context 512,2048,4096" =>
            "Show the memory of BitNet-b1.58-2B-4T as a runtime stores it.",
        "bitkv memory --model bitnet_b1_58-large --accounting published" =>
            "Reproduce the published memory table.",
    ];
    /// Advise which policy, budget and KV format to deploy for a model, a context and a limit.
    ///
    /// The answer comes from rows: those of the built-in models are compiled in, and `--from` names those of
    /// your own runs. Some texts choose, and others say how sure the choice is. A limit on memory gives the
    /// cache with the lowest KL, and a limit on quality gives the smallest cache.
    Advise = advise(registry), "--model M --context N --memory BYTES", [
        "bitkv advise --model tiny-gqa --context 896 --memory 128KiB" =>
            "Choose the best cache that takes at most 128 KiB.",
        "bitkv advise --model microsoft/bitnet-b1.58-2B-4T --context 4096 --max-loss recall=5% --export budgets.json" =>
            "Choose the smallest cache that loses at most 5 % of the answers of the nearest measured model.",
    ];
    /// Measure the attention entropy and the class of every head on calibration texts.
    ///
    /// Other commands read the files of `--out` and `--out-published` with `--profile`.
    Profile = profile(registry), "--model M", [
        "bitkv profile --model tiny-mha --out profile.json" =>
            "Profile a model on the calibration texts of the suite, and save the profile.",
        "bitkv profile --model tiny-gqa --texts calibration/texts/evaluation --queries all" =>
            "Profile a model on other texts, and average over all queries.",
    ];
    /// Show which positions a policy keeps in every layer and KV head.
    ///
    /// With `--tensors FILE`, the policy is applied to the queries, keys and values of any model. `--export`
    /// writes the plan for an inference engine.
    Plan = plan(registry), "--model M --text FILE --policy P --budget B", [
        "bitkv plan --model tiny-gqa --text LICENSE --policy uniform+window-attention --budget 0.1" =>
            "Keep 10 % of a text, ranked by the attention of its last queries.",
        "bitkv plan --tensors crates/kvpress/testdata/gqa-96.safetensors --policy kvpress:snapkv --ratio 0.2" =>
            "Remove 20 % of a cache that another program saved, as kvpress does.",
    ];
    /// Generate text, optionally with a policy that evicts from the KV cache.
    ///
    /// The text is streamed. Several prompts are generated in one batch, the prompt `-` is read from standard
    /// input, and `--chat` puts the prompt into the chat template of the model, or reads turns from standard
    /// input. With `--every` and `--positions rerotated`, a text may be longer than the model reads, in
    /// constant memory.
    Generate = generate(registry), "--model M --prompt S", [
        "bitkv generate --model tiny-gqa --prompt \"The old house\" --max-tokens 40 --greedy" =>
            "Generate 40 tokens, each the most likely one.",
        "bitkv generate --model tiny-gqa --prompt \"The old house\" --max-tokens 2000 --policy streaming-llm --budget-tokens 64 --every 16 --positions rerotated" =>
            "Stream beyond the positions of the model, with 64 cache entries in every head.",
    ];
    /// Show the norms of every step of a forward pass and the most likely next tokens.
    ///
    /// `--out` also writes logits, hidden states, queries, keys, values and entropies. `--engine reference`
    /// computes in plain candle instead of the fast kernels.
    Trace = trace(), "--model M --prompt S", [
        "bitkv trace --model tiny-mha --prompt \"the house was\"" =>
            "Show the norms of every step and the five most likely next tokens.",
        "bitkv trace --model tiny-mha --prompt \"the house was\" --engine reference --out trace.safetensors" =>
            "Compute in plain candle, and write all tensors to a file.",
    ];
    /// Write a checkpoint in another format: a packed Hugging Face folder or a GGUF file.
    ///
    /// Every ternary code stays the same. Scales stay the same too, except with `--lossy`.
    Convert = convert(), "M OUT --to F", [
        "bitkv convert tiny-gqa tiny-gqa.gguf --to i2_s" => "Write a GGUF file with I2_S tensors.",
        "bitkv convert testdata/golden/master-2b-style runs/packed --to packed" =>
            "Pack full-precision master weights into a Hugging Face folder.",
    ];
    /// Show what a checkpoint contains, tensor by tensor.
    ///
    /// The output includes the configuration, the memory of each tensor type, histograms of the ternary
    /// codes, and scales.
    Inspect = inspect(), "M", [
        "bitkv inspect tiny-gqa --summary" => "Show the configuration and the memory of each type.",
        "bitkv inspect testdata/golden/packed-2b-style" => "Show every tensor of a Hugging Face folder.",
    ];
    /// Find what is wrong with a checkpoint, and say what it means and what to do about it.
    ///
    /// The exit code is 1 if there is a fault.
    Doctor = doctor(), "M", [
        "bitkv doctor tiny-gqa" => "Examine a built-in model.",
        "bitkv doctor testdata/models/first-gqa --masters testdata/models/first-gqa" =>
            "Also compare codes and scales with another checkpoint of the same model.",
    ];
    /// Write a packed checkpoint with random weights of a given shape.
    Random = random(), "--shape 2b-4t --out DIR", [
        "bitkv random --shape tiny-gqa --out runs/random" =>
            "Write random weights of the shape of a built-in model.",
        "bitkv random --shape testdata/golden/packed-2b-style/config.json --seed 7 --out runs/random-7" =>
            "Write random weights of the shape that a config.json describes.",
    ];
    /// Run the experiments of a definition: every policy at every budget on every text.
    ///
    /// Each context is prefilled once for all policies. The run folder gets the rows and a report, and an
    /// interrupted run resumes. A cell that fails has its reason in its row, and the exit code is then 1.
    /// `--list` shows the definitions, and `--dry-run` estimates the time and the memory. `--shard` measures
    /// one part of the run, so that many machines can share the work.
    Run = run(registry), "FILE", [
        "bitkv run experiments/sinks.toml --dry-run" => "Check a definition and estimate what it costs.",
        "bitkv run head-entropies --out runs/head-entropies" =>
            "Run a definition of the folder experiments by its name.",
    ];
    /// Compare policies at several budgets, without writing a definition.
    ///
    /// The command writes a definition with the controls, prints it, and runs it as `bitkv run` does. The run
    /// folder keeps it. Options that say how to read a model are not part of a definition.
    Sweep = sweep(registry), "--model M --policies P,Q --ratios 2x,4x", [
        "bitkv sweep --model tiny-gqa --policies snapkv,h2o,adakv --ratios 2x,4x,8x" =>
            "Compare three policies on the texts of the suite.",
        "bitkv sweep --model tiny-gqa --policies snapkv,uniform+kvzip --budgets 0.25 --tasks recall --texts my-texts --dry-run" =>
            "Print the definition of a comparison on own texts and on recall, and estimate what it costs.",
    ];
    /// Show the report of a finished run, computed again from its rows.
    ///
    /// `--write` also writes the report files again, and `--splice FILE` puts the table of findings into a
    /// document.
    Report = report(), "RUN", [
        "bitkv report results/verify" => "Show the verdicts and tables of a committed run.",
        "bitkv report results/verify-2 --splice README.md" => "Update the table of findings in README.md.",
    ];
    /// Compare two runs cell by cell, with paired confidence intervals.
    Compare = compare(), "A B", [
        "bitkv compare results/sinks results/sinks" => "Compare a run with itself: all cells are identical.",
        "bitkv compare results/verify results/verify --out comparison.md" =>
            "Also write the comparison as Markdown.",
    ];
    /// Merge the shards of a run into the run that one machine would have written, byte for byte.
    ///
    /// The shards must agree in definition, models, texts, program and instruction sets. If one is missing,
    /// nothing is written, and the command that measures it is shown. Failed cells are listed with the
    /// command that measures exactly them again, and the exit code is then 1.
    Merge = merge(), "OUT SHARDS...", [
        "bitkv merge runs/sinks runs/sinks.shards" => "Merge all shards in a folder, and write the report.",
        "bitkv merge runs/sinks runs/sinks.shards --check" => "Say what is missing, and write nothing.",
    ];
    /// Submit the shards of a run to Slurm, show their status, or cancel them.
    ///
    /// `submit` writes two scripts and submits them: a job array with one shard in every task, and a job that
    /// merges the shards into one run. A task stops before its time limit, is put into the queue again and
    /// resumes. `submit` with the same run submits only the shards that are not finished.
    Slurm = slurm(registry), "submit FILE --shards N", [
        "bitkv slurm submit experiments/sinks.toml --shards 8 --partition main --dry-run" =>
            "Print the scripts for 8 shards, and submit nothing.",
        "bitkv slurm status runs/sinks" => "Show the state of every shard that was submitted.",
    ];
    /// Rank the policies of all runs in a folder by measure, budget and model, on one page.
    ///
    /// The page shows losers and negative results too. It needs no network and no other files.
    Leaderboard = leaderboard(), "DIR", [
        "bitkv leaderboard results --out runs/leaderboard.html" => "Rank the policies of all committed runs.",
        "bitkv leaderboard runs" => "Write runs/index.html.",
    ];
    /// Measure the tokens per second of prefill and decode and compare them with what the machine can do.
    ///
    /// The model is a checkpoint, or has random weights of a given shape. Between the passes, the command
    /// measures how fast the machine reads memory and multiplies.
    Bench = bench(), "--shape 2b-4t", [
        "bitkv bench --shape tiny-gqa --prefill 512 --decode 64" =>
            "Time a prefill of 512 tokens and a decode of 64 tokens.",
        "bitkv bench --shape 2b-4t --layers 2 --decode 16 --depth 2048 --budget 1.0,0.2" =>
            "Time two layers of BitNet-b1.58-2B-4T after a full cache and a compressed one.",
    ];
    /// List the models, policies, metrics, experiments and commands that bitkv knows.
    List = list(registry), "", [
        "bitkv list policies" => "List allocators, scorers, rules and presets with their options.",
        "bitkv list models --json" => "Print the names of the models as JSON.",
    ];
    /// Train a small BitNet model on a folder of text.
    ///
    /// An interrupted run resumes.
    Train = train(), "--recipe FILE --corpus DIR --out DIR", [
        "bitkv train --recipe models/tiny-mha/recipe.toml --corpus runs/corpus --out runs/tiny --steps 10" =>
            "Train 10 steps on a small corpus, which this makes: mkdir -p runs/corpus && \
             cat calibration/texts/*/*.txt | tee runs/corpus/train.txt > runs/corpus/valid.txt",
        "bitkv train --recipe models/tiny-mha/recipe.toml --corpus runs/corpus --out runs/tiny --steps 0 \
         --export runs/tiny-model" =>
            "Evaluate the model of that run and write it to a folder, which --model reads.",
    ];
    /// Print a script that completes commands, options and values in a shell.
    ///
    /// There is no `--json`, because a shell reads the output.
    Completions = completions(), "SHELL", [
        "bitkv completions bash" =>
            "Print the script for bash, for the file ~/.local/share/bash-completion/completions/bitkv.",
        "bitkv completions zsh" => "Print the script for zsh, for a file _bitkv in a folder of fpath.",
    ];
    /// Print the manual page of the program or of a command, or write all pages into a folder.
    ///
    /// There is no `--json`, because `man` reads the output.
    Man = man(), "", [
        "bitkv man verify" => "Print the page of one command. To read it, write `| man -l -` after the command.",
        "bitkv man --out runs/man/man1" =>
            "Write all pages into a folder; man finds them if MANPATH lists runs/man.",
    ];
}

/// The arguments of the program.
#[derive(Debug, Parser)]
#[command(
    name = "bitkv",
    version,
    arg_required_else_help = true,
    about = "bitkv measures what it costs a BitNet b1.58 model to evict entries from its KV cache: memory, speed and \
             quality for every policy and budget. It also verifies the published claims about the entropy-adaptive KV \
             cache, and reads, converts, examines and benchmarks checkpoints.",
    after_help = "To begin, try one of these:\n  bitkv verify\n  bitkv sweep --model tiny-gqa --policies snapkv,h2o --ratios 2x,4x\n\n\
                  Every command prints one JSON document with --json, except completions and man. `bitkv COMMAND --help` \
                  shows two examples."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: VerbosityArguments,
}

/// Returns the definition of the command line, for tests and for programs that generate completions or manual
/// pages.
pub fn command_line() -> clap::Command {
    number::with_number_parsers(Arguments::command())
}

/// Runs the command line with the arguments of this process and the methods of `registry`, and returns its
/// exit code.
pub fn main(registry: &Registry) -> ExitCode {
    bitkv_bytes::keep_freed_memory();
    bitkv_bytes::disk::report_size_limit();
    colour::begin();
    let matches = command_line().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    arguments.verbosity.apply(&mut command_line()).unwrap_or_else(|error| error.exit());
    if let Err(error) = threads::limit() {
        verbosity::error(&error.to_string());
        return ExitCode::FAILURE;
    }
    match bitkv_kernels::check_isa() {
        Ok(isa) => verbosity::detail(&format!("the kernels use the instructions {isa}")),
        Err(error) => {
            verbosity::error(&error.to_string());
            return ExitCode::FAILURE;
        }
    }
    let started = Instant::now();
    let result = arguments.command.run(registry);
    verbosity::detail(&format!("the command took {:.1} s", started.elapsed().as_secs_f64()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            verbosity::error(&output::sentence(&error));
            exit_code(&error)
        }
    }
}

/// Returns the exit code for an error. Most are 1. Work that was interrupted, or that another process is
/// doing, has a code of its own, so that scripts can run it again.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(interrupted) = error.downcast_ref::<interrupt::Interrupted>() {
        return interrupted.exit_code().into();
    }
    match error.downcast_ref().is_some_and(bitkv_lab::Error::is_locked) {
        true => interrupt::RUN_AGAIN.into(),
        false => ExitCode::FAILURE,
    }
}
