#!/usr/bin/env python3
"""Kills every command that writes at random moments, and checks that repeating it loses nothing.

    cargo build --release
    python3 experiments/kill-commands.py target/release/bitkv --kills 200

Each command runs once without interruption. Then it runs again and again, killed with SIGKILL at a random moment, and is
repeated. A name that exists after a kill must have the content of the uninterrupted run; the repeated command must end
with this content and leave no other files. The kills are divided over the commands by the time that they take, at least
ten for each. experiments/kill.py kills long runs again and again and looks at every row in between.

On success the script prints one line for each command and exits with 0.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """
name = "small"
seed = 1
data-seed = 2
checkpoint-every = 5
validate-every = 10

[shape]
style = "2b-4t"
vocabulary = 512
hidden = 64
intermediate = 160
layers = 2
query-heads = 4
kv-heads = 2
head-dim = 16
rope-theta = 10000
max-positions = 128

[[stage]]
steps = 20
length = 64
batch = 4
synthetic = 0.5
distance = 16
alphabet = 48
rate = [3e-3, 3e-3]
decay = 0.1
"""

DEFINITION = """
analysis = "A run to be killed. Refuted if one byte differs."

[[experiment]]
name = "small"
models = ["tiny-gqa"]
texts = "evaluation"
context = 96
horizon = 16
budgets = [1.0, 0.5, 0.25]
policies = ["full", "uniform+recency", "uniform+window-attention", "uniform+random", "uniform+oracle"]
tasks = ["text", { kind = "recall", tokens = 64, count = 2 }]

[[profile]]
name = "entropies"
models = ["tiny-gqa"]
texts = "calibration"
lengths = [64]

[[memory]]
name = "bytes"
models = ["tiny-gqa"]
contexts = [64]
"""

# Files that say when and how long a command ran.
VARIES = {"manifest.json", "timings.csv", "report.md", "report.html", "profile.json", "training-log.csv", "README.md"}
# Words of the refusal to write something that is complete.
COMPLETE = ("exists", "finished", "not empty")


def commands(root):
    """The commands by name; {out} is the folder that they write into."""
    text = str(root / "text.txt")
    model = ["--model", "tiny-gqa"]
    return {
        "run": ["run", str(root / "small.toml"), "--out", "{out}/run"],
        "verify": ["verify", *model, "--recalls", "1", "--budget", "0.5", "--policy", "uniform+recency", "--context-tokens", "96",
                   "--scored-tokens", "16", "--calibration-tokens", "64", "--out", "{out}/verify"],
        "sweep": ["sweep", *model, "--policies", "snapkv", "--ratios", "4x", "--context-tokens", "96", "--scored-tokens", "16",
                  "--out", "{out}/sweep"],
        "shard": ["run", str(root / "small.toml"), "--shard", "1/2", "--out", "{out}/shard"],
        "merge": ["merge", "{out}/merged", str(root / "shards")],
        "report": ["report", "{out}/a", "--write"],
        "convert packed": ["convert", "tiny-gqa", "{out}/packed", "--to", "packed"],
        "convert gguf": ["convert", "tiny-gqa", "{out}/a.gguf", "--to", "i2_s"],
        "random": ["random", "--shape", "tiny-gqa", "--out", "{out}/random"],
        "train": ["train", "--recipe", str(root / "small-recipe.toml"), "--corpus", str(root / "corpus"), "--out", "{out}/train",
                  "--export", "{out}/model"],
        "plan": ["plan", *model, "--text", text, "--first", "256", "--policy", "snapkv", "--budget", "0.5", "--export", "{out}/plan.json"],
        "profile": ["profile", *model, "--out", "{out}/profile.json", "--export", "{out}/budgets.json"],
        "trace": ["trace", *model, "--prompt", "the house was", "--out", "{out}/trace.safetensors"],
        "compare": ["compare", str(root / "a"), str(root / "a"), "--out", "{out}/comparison.md"],
        "leaderboard": ["leaderboard", str(root), "--out", "{out}/index.html"],
    }


def prepare(binary, root):
    """Writes what the commands read."""
    (root / "small.toml").write_text(DEFINITION)
    (root / "small-recipe.toml").write_text(RECIPE)
    words = " ".join(f"The house number {n} stands by the river." for n in range(4000))
    (root / "text.txt").write_text(words[:20000])
    (root / "corpus").mkdir()
    (root / "corpus" / "train.txt").write_text(words)
    (root / "corpus" / "valid.txt").write_text(words[:20000])
    for arguments in (
        ["run", "small.toml", "--out", "a"],
        ["run", "small.toml", "--shard", "1/2", "--out", "shards/1-of-2"],
        ["run", "small.toml", "--shard", "2/2", "--out", "shards/2-of-2"],
    ):
        subprocess.run([binary, *arguments], cwd=root, check=True, capture_output=True)


def fresh(out, root, name):
    """Makes an empty folder for the output of a command."""
    subprocess.run(["rm", "-rf", str(out)], check=True)
    out.mkdir()
    if name == "report":
        subprocess.run(["cp", "-r", str(root / "a"), str(out / "a")], check=True)


def contents(out):
    """Every file of a folder with its bytes, by its relative path."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def is_hidden(path):
    return any(part.startswith(".") for part in Path(path).parts)


def start(binary, arguments, out):
    said = open(out.parent / "said.txt", "wb")
    command = [binary, *[argument.replace("{out}", str(out)) for argument in arguments]]
    return subprocess.Popen(command, cwd=out.parent, stdout=subprocess.DEVNULL, stderr=said)


def said(out):
    return (out.parent / "said.txt").read_text(errors="replace").strip()


def demand(holds, message):
    if not holds:
        sys.exit(f"failed: {message}")


def same(path, found, expected):
    return Path(path).name in VARIES or is_state_of_training(path) or found == expected


def is_state_of_training(path):
    """The folder of a training run says how long each step took; its weights are compared after the export."""
    return path.startswith("train/")


def check_names(name, out, expected):
    """After a kill, what has its final name is complete. A training run writes into its folder until it ends."""
    for path, content in contents(out).items():
        if is_hidden(path) or is_state_of_training(path):
            continue
        demand(path in expected, f"{name}: after a kill there is {path}")
        demand(same(path, content, expected[path]), f"{name}: after a kill {path} is not that of the uninterrupted run")


def repeat(name, binary, arguments, out, expected):
    """Repeats a killed command, which must end with the expected files."""
    if name == "verify" and (out / "verify").exists():
        return
    process = start(binary, arguments, out)
    process.wait()
    complete = any(word in said(out) for word in COMPLETE)
    demand(process.returncode == 0 or complete, f"{name}: the repeated command ends with {process.returncode}: {said(out)}")
    found = contents(out)
    demand(found.keys() == expected.keys(), f"{name}: {sorted(found.keys() ^ expected.keys())} differ after the repeated command")
    for path, content in found.items():
        demand(same(path, content, expected[path]), f"{name}: {path} differs after the repeated command")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", help="the bitkv program")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    parser.add_argument("--only", help="kill only this command")
    arguments = parser.parse_args()
    binary, moments = str(Path(arguments.binary).resolve()), random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        prepare(binary, root)
        out = root / "out"
        all_commands = commands(root)
        if arguments.only:
            all_commands = {arguments.only: all_commands[arguments.only]}
        expected, seconds = {}, {}
        for name, command in all_commands.items():
            fresh(out, root, name)
            began = time.monotonic()
            process = start(binary, command, out)
            process.wait()
            seconds[name] = time.monotonic() - began
            demand(process.returncode == 0, f"{name}: {said(out)}")
            expected[name] = contents(out)
        least = 10
        left = max(0, arguments.kills - least * len(all_commands))
        total = 0
        for name, command in all_commands.items():
            kills = least + round(left * seconds[name] / sum(seconds.values()))
            struck, complete = 0, 0
            for _ in range(kills):
                fresh(out, root, name)
                process = start(binary, command, out)
                try:
                    process.wait(moments.uniform(0, seconds[name]))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    struck += 1
                complete += bool([path for path in contents(out) if not is_hidden(path)])
                check_names(name, out, expected[name])
                repeat(name, binary, command, out, expected[name])
            total += struck
            print(f"{name}: {struck} of {kills} kills struck ({complete} after a first file had its name), {seconds[name]:.2f} s, "
                  f"{len(expected[name])} files as without a kill", flush=True)
    print(f"{total} kills: nothing was lost, half written or left behind")


if __name__ == "__main__":
    main()
