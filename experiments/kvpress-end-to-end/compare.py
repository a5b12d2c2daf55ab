"""The cells of a bitkv run beside those of kvpress: comparison.csv, and comparison.md with a summary.

    run: python experiments/kvpress-end-to-end/compare.py RUN [--cache float32] [--plans FOLDER [--bitkv BINARY]]

The row of a cell has a hash of the positions that are kept, so that equal sets are seen without the positions. How many
positions differ is known with --plans only.
"""

import argparse
import csv
import gzip
import io
import json
import subprocess
from pathlib import Path
from statistics import mean, median

import cells
import numpy as np
from cells import FOLDER, GGUF, PRESSES

OTHER = {"float16": "float32", "float32": "float16"}

COLUMNS = [
    "model", "text", "press", "ratio", "bitkv_kl_nats", "kvpress_kl_nats", "kl_relative_difference", "bitkv_agreement",
    "kvpress_agreement", "bitkv_nll_difference", "kvpress_nll_difference", "bitkv_kept_entries", "kvpress_kept_entries",
    "full_entries", "equal_sets", "only_in_bitkv", "only_in_kvpress", "kvpress_piece", "rounding_relative_difference",
]  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="+", help="run folders of bitkv, with rows.csv or rows.csv.gz")
    parser.add_argument("--cells", type=Path, default=FOLDER, help="the folder that run.py wrote")
    parser.add_argument(
        "--cache",
        choices=["float32", "float16"],
        default="float16",
        help="which cells of kvpress: float16 rounds keys and values as bitkv's f16 cache does",
    )
    parser.add_argument("--plans", type=Path, help="a folder with MODEL/TEXT/PRESS-RATIO.json of `bitkv plan --json`")
    parser.add_argument("--bitkv", type=Path, help="the binary, which makes the plans of cells whose sets differ")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder for comparison.csv and comparison.md")
    return parser.parse_args()


def rows_of(run):
    """The rows of a run, by model, text, press and ratio."""
    file, packed = run / "rows.csv", run / "rows.csv.gz"
    text = file.read_text() if file.exists() else gzip.decompress(packed.read_bytes()).decode()
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        if row["error"]:
            raise SystemExit(f"{run}: a cell failed: {row['policy']} on {row['text']}: {row['error']}")
        if row["written"].startswith("kvpress:") and row["budget"].startswith("ratio "):
            press, ratio = row["written"].removeprefix("kvpress:"), float(row["budget"].removeprefix("ratio "))
            found[row["model"], row["text"], press, ratio] = row
    return found


def pairs(options):
    """Rows and cells of equal model, text, press, ratio, context and horizon, and the cells with the other cache."""
    rows = {name: row for run in options.run for name, row in rows_of(run).items()}
    measured, found = cells.read(options.cells), []
    for cell in measured.values():
        row = rows.get((cell["model"], cell["text"], cell["press"], cell["ratio"]))
        sizes = [cell["context"], cell["horizon"]]
        if row and cell["cache"] == options.cache and [int(row["context_tokens"]), int(row["targets"])] == sizes:
            found.append((row, cell, measured.get(cells.key(cell | {"cache": OTHER[options.cache]}))))
    if not found:
        raise SystemExit(f"{options.cells} has no cell of the run with a {options.cache} cache: start run.py first")
    paired = {(cell["model"], cell["text"], cell["press"], cell["ratio"]) for _, cell, _ in found}
    for name in sorted(rows.keys() - paired, key=str):
        print(f"kvpress has no cell for this row: {name}")
    return sorted(found, key=lambda found: place(found[1]))


def place(cell):
    return cell["model"], PRESSES.index(cell["press"]), cell["ratio"], cell["text"]


def compared(row, cell, other, options):
    equal = row["plan_hash"] == cell["plan_hash"]
    ours, theirs = (0, 0) if equal else differing(row, cell, options)
    sides = {
        f"{side}_{name}": float(values[name])
        for name in ["kl_nats", "agreement", "nll_difference", "kept_entries"]
        for side, values in [("bitkv", row), ("kvpress", cell)]
    }
    return {
        **{name: cell[name] for name in ["model", "text", "press", "ratio"]},
        **sides,
        "bitkv_kept_entries": int(row["kept_entries"]),
        "kvpress_kept_entries": cell["kept_entries"],
        "kl_relative_difference": relative(sides["bitkv_kl_nats"], cell),
        "rounding_relative_difference": relative(other["kl_nats"], cell) if other else None,
        "full_entries": cell["full_entries"],
        "equal_sets": equal,
        "only_in_bitkv": ours,
        "only_in_kvpress": theirs,
        "kvpress_piece": cell["piece"],
    }


def relative(kl, cell):
    """How much a KL differs from that of a cell; None if the cell changes nothing."""
    return kl / cell["kl_nats"] - 1 if cell["kl_nats"] else None


def differing(row, cell, options):
    """The numbers of entries that only bitkv and only kvpress keeps; None if there is no plan."""
    if options.plans is None:
        return None, None
    file = options.plans / cell["model"] / cell["text"] / f"{cell['press']}-{cell['ratio']}.json"
    kept = cells.read_kept(options.cells, cell)
    # A plan of an earlier binary is made again.
    if options.bitkv and not (file.exists() and is_plan_of(row, planned(file, kept))):
        make_plan(file, cell, options)
    if not file.exists():
        return None, None
    ours = planned(file, kept)
    if not is_plan_of(row, ours):
        raise SystemExit(f"{file} is not the plan of the row: make it with the binary and the model that made the run")
    return int((ours & ~kept).sum()), int((kept & ~ours).sum())


def planned(file, kept):
    """The positions that a plan keeps, in an array like that of kvpress."""
    found = np.zeros_like(kept)
    for layer, heads in enumerate(json.loads(file.read_text())["layers"]):
        for head, positions in enumerate(heads["heads"]):
            found[layer, head, positions["kept"]] = True
    return found


def is_plan_of(row, kept):
    return cells.plan_hash(kept) == row["plan_hash"]


def make_plan(file, cell, options):
    model = GGUF if cell["model"] == "smollm2" else cell["model"]
    tokens = cells.tokens_file(options.cells, cell["model"], cell["text"])
    command = [options.bitkv, "plan", "--model", model, "--tokens", tokens, "--first", cell["context"]]
    command += ["--policy", f"kvpress:{cell['press']}", "--ratio", cell["ratio"], "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bitkv plan failed: {done.stderr.strip()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    cells.replace(file, done.stdout)


def percent(share):
    return f"{100 * share:.2g} %" if abs(share) < 0.1 else f"{100 * share:.1f} %"


def shares(found, name="kl_relative_difference"):
    """Median and maximum of a relative difference, without sign; nothing if it is not known of every cell."""
    sizes = [cell[name] for cell in found]
    if not sizes or None in sizes:
        return ["", ""]
    return [percent(median(map(abs, sizes))), percent(max(map(abs, sizes)))]


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def summary(found, options):
    """The report: for each model, a line for every press and every ratio."""
    parts = [
        "# Presses in bitkv and in kvpress",
        "KL in nats per token, means over cells. The difference is that of the KL of a cell, bitkv minus kvpress, relative "
        f"to kvpress and without sign. kvpress computes in float32, with a {options.cache} cache. By rounding alone is the "
        "difference between a float32 and a float16 cache within kvpress. Sets are equal if every KV head keeps the same "
        "positions. Other entries are those that bitkv keeps and kvpress does not, of all that bitkv keeps; they are left "
        "out if the plans of bitkv are not known. comparison.csv has every cell.",
    ]
    for model in sorted({cell["model"] for cell in found}):
        of_model = [cell for cell in found if cell["model"] == model]
        parts += [f"## {model}", grouped(of_model)]
    return "\n\n".join(parts) + "\n"


def grouped(found):
    head = [
        "press", "ratio", "cells", "KL in bitkv", "in kvpress", "median difference", "largest", "by rounding alone",
        "largest", "equal sets", "largest difference where sets are equal", "other entries", "agreement in bitkv",
        "in kvpress",
    ]  # fmt: skip
    names = list(dict.fromkeys((cell["press"], cell["ratio"]) for cell in found))
    groups = [(name, [cell for cell in found if (cell["press"], cell["ratio"]) == name]) for name in names]
    return table(head, [line(*name, group) for name, group in groups] + [line("all", "", found)])


def line(press, ratio, found):
    equal = [cell for cell in found if cell["equal_sets"]]
    kl = [f"{mean(cell[f'{side}_kl_nats'] for cell in found):.4g}" for side in ("bitkv", "kvpress")]
    agreement = [f"{mean(cell[f'{side}_agreement'] for cell in found):.3f}" for side in ("bitkv", "kvpress")]
    rounding = shares(found, "rounding_relative_difference")
    sets = [f"{len(equal)} of {len(found)}", shares(equal)[1], others(found)]
    return [press, ratio, len(found), *kl, *shares(found), *rounding, *sets, *agreement]


def others(found):
    """The mean share of the entries that only bitkv keeps; nothing if a plan lacks."""
    if any(cell["only_in_bitkv"] is None for cell in found):
        return ""
    return percent(mean(cell["only_in_bitkv"] / cell["bitkv_kept_entries"] for cell in found))


def main():
    options = arguments()
    found = [compared(row, cell, other, options) for row, cell, other in pairs(options)]
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "comparison.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    text = summary(found, options)
    (options.out / "comparison.md").write_text(text)
    equal = sum(cell["equal_sets"] for cell in found)
    print(f"{len(found)} cells, {equal} with equal sets: {options.out / 'comparison.md'}")


if __name__ == "__main__":
    main()
