"""Runs the same grid in bitkv and in transformers + kvpress, in turns: cells per second of each, and their ratio.

Start it with run.sh, which installs the versions of requirements.txt. README.md says what is timed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEFINITION = HERE / "kvpress-grid.toml"
TEXTS = ROOT / "calibration" / "texts" / "evaluation"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bitkv", type=Path, default=ROOT / "target/release/bitkv", help="the binary")
    parser.add_argument("--model", default="tiny-gqa", help="a built-in model, whose shape the peer has")
    parser.add_argument(
        "--weights",
        choices=["random", "own"],
        default="random",
        help="whether the peer is a random Llama of the model's shape, or the model itself, which must be one that "
        "transformers runs as a BitNet: tiny-gqa",
    )
    parser.add_argument("--texts", type=int, default=3, help="number of evaluation texts, evenly spread over the list")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs the grid")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="number format of the peer")
    parser.add_argument("--out", type=Path, default=ROOT / "results/peers-grid", help="a folder for the results")
    return parser.parse_args()


def sample(count):
    """Evaluation texts, evenly spread over the list."""
    files = sorted(TEXTS.glob("*.txt"))
    return [files[i * len(files) // count] for i in range(count)]


def definition(model, folder):
    """The committed definition with another model and the texts of a folder."""
    text = DEFINITION.read_text()
    for old, new in [('models = ["tiny-gqa"]', f'models = ["{model}"]'), ('texts = "evaluation"', f'texts = "{folder}"')]:
        if text.count(old) != 1:
            sys.exit(f"{DEFINITION} lacks the line {old}: restore it")
        text = text.replace(old, new)
    return text


def run_bitkv(binary, model, texts, threads):
    """Returns the seconds, the processor seconds and the rows of the whole command, with its start and its report."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "texts").mkdir()
        for text in texts:
            (folder / "texts" / text.name).write_bytes(text.read_bytes())
        (folder / "grid.toml").write_text(definition(model, "./texts"))
        command = [binary, "run", folder / "grid.toml", "--out", folder / "run", "--json"]
        started, used = time.perf_counter(), children_seconds()
        done = subprocess.run(
            command, env={**os.environ, "RAYON_NUM_THREADS": str(threads)}, capture_output=True, text=True
        )
        seconds, used = time.perf_counter() - started, children_seconds() - used
    if done.returncode != 0:
        sys.exit(f"bitkv failed: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    if said["failed"]:
        sys.exit(f"{said['failed']} cells of bitkv failed: nothing is compared")
    return seconds, used, said["rows"]


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_peer(peer, texts):
    """Returns the seconds, the processor seconds and the cells of the grid on all texts, without loading time."""
    seconds, used, cells = zip(*(peer.grid(text.read_text()) for text in texts))
    return sum(seconds), sum(used), sum(cells, [])


def main():
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # torch takes the number of threads from the environment when it is loaded.
    import torch
    from peer import Peer
    from summary import write

    torch.set_num_threads(options.threads)
    texts, binary = sample(options.texts), options.bitkv.resolve()
    peer = Peer(ROOT / "models" / options.model, options.weights == "own", getattr(torch, options.dtype))
    run_peer(peer, texts[:1])
    run_bitkv(binary, options.model, texts[:1], options.threads)
    rounds = []
    for number in range(options.rounds):
        load = os.getloadavg()[0]
        peer_seconds, peer_used, cells = run_peer(peer, texts)
        bitkv_seconds, bitkv_used, rows = run_bitkv(binary, options.model, texts, options.threads)
        if rows != len(cells):
            sys.exit(f"bitkv has {rows} rows and kvpress {len(cells)} cells: presses.py differs from {DEFINITION.name}")
        print(f"round {number + 1}: kvpress {peer_seconds:.1f} s, bitkv {bitkv_seconds:.2f} s, load {load:.1f}", flush=True)
        seconds = {"peer_seconds": peer_seconds, "bitkv_seconds": bitkv_seconds}
        used = {"peer_processor_seconds": peer_used, "bitkv_processor_seconds": bitkv_used}
        rounds.append({"load_before": load, **seconds, **used, "cells": cells})
    write(options, texts, rounds)


if __name__ == "__main__":
    main()
