"""bitkv, llama.cpp, bitnet.cpp and transformers on the same shapes, in turns: one table of tokens per second and memory.

Start it with run.sh, which installs the versions. README.md says what is timed.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import engines
import shapes
import table

ROOT = Path(__file__).resolve().parents[3]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bitkv", type=Path, default=ROOT / "target/release/bitkv", help="the binary")
    parser.add_argument(
        "--bitnet-bench",
        type=Path,
        default=os.environ.get("BITNET_BENCH"),
        help="llama-bench of a built bitnet.cpp; also from BITNET_BENCH; without it bitnet.cpp is left out",
    )
    parser.add_argument("--shapes", default="2b-4t,large", help="shapes, separated by commas")
    parser.add_argument(
        "--smollm2",
        type=Path,
        default=os.environ.get("BITKV_SMOLLM2"),
        help="the file of SmolLM2 for the shape smollm2; also from BITKV_SMOLLM2",
    )
    parser.add_argument("--layers", type=int, default=0, help="number of layers to keep of each random shape, for a trial; 0 keeps all")
    parser.add_argument("--isa", default="avx512,avx2", help="instruction sets to run bitkv with, besides its best")
    parser.add_argument("--rounds", type=int, default=3, help="how often each engine runs")
    parser.add_argument("--threads", type=int, default=2, help="threads of each")
    parser.add_argument("--prefill", type=int, default=512, help="tokens of a prompt")
    parser.add_argument("--decode", type=int, default=64, help="tokens one by one (transformers: at most 16)")
    parser.add_argument("--entropy", type=int, default=1024, help="tokens of a prompt whose attention is observed")
    parser.add_argument("--work", type=Path, default=ROOT / "target/peers-models", help="a folder for models")
    parser.add_argument("--out", type=Path, default=ROOT / "results/peers", help="a folder for the results")
    parser.add_argument("--trial", action="store_true", help="print the table and write nothing")
    options = parser.parse_args()
    options.bitkv, options.work = options.bitkv.resolve(), options.work.resolve()
    options.smollm2 = Path(options.smollm2).resolve() if options.smollm2 else None
    options.bitnet_bench = Path(options.bitnet_bench).resolve() if options.bitnet_bench else None
    options.llama = engines.has_module("llama_cpp")
    for name in options.shapes.split(","):
        if name not in shapes.NAMES:
            parser.error(f"--shapes {name}: use {' or '.join(shapes.NAMES)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least one is needed")
    return options


def revision():
    """The commit of the tree; fails if the tree differs from it, because a table belongs to one source."""

    def git(*command):
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain")
    return git("rev-parse", "HEAD"), changed.splitlines()[0] if changed else ""


def measure(options, shape):
    """Runs every engine in turns; returns one entry per engine and test."""
    running = engines.all_of(options, shape)
    results = [{"engine": e.name, "command": e.said(), "skipped": e.skipped, "rounds": []} for e in running]
    for number in range(options.rounds):
        for engine, result in zip(running, results):
            if result["skipped"]:
                continue
            load = os.getloadavg()[0]
            try:
                rows, versions, peak = engine.run()
            except engines.Failed as failed:
                result["skipped"] = str(failed)
                print(f"{shape.name}: {failed}", file=sys.stderr, flush=True)
                continue
            result["rounds"].append({"rows": rows, "peak_rss_bytes": peak, "load_before": load, "versions": versions})
            rates = ", ".join(f"{row['test']} {row['tokens'] / row['seconds']:.1f}" for row in rows)
            print(f"{shape.name}, round {number + 1}, {engine.name}: {rates}", file=sys.stderr, flush=True)
    return {"shape": shape.name, "layers": shape.layers, "engines": results}


def main():
    options = arguments()
    commit, changed = revision()
    if changed and not options.trial:
        sys.exit(f"the tree differs from {commit[:12]} ({changed}): commit first, or give --trial to write nothing")
    measured = [measure(options, shapes.prepare(options, name)) for name in options.shapes.split(",")]
    built = {r["versions"]["bitkv"]["revision"] for m in measured for e in m["engines"][:1] for r in e["rounds"]}
    if built != {commit} and not options.trial:
        sys.exit(f"{options.bitkv.name} was built from {', '.join(built) or 'nothing that ran'}, not from {commit}: build it again")
    summary = table.of(options, commit, measured)
    print(table.markdown(summary), end="")
    if not options.trial:
        table.write(options.out, summary)


if __name__ == "__main__":
    main()
