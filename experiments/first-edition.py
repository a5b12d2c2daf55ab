#!/usr/bin/env python3
"""Compares the cells of a first-edition `bitkv verify` with the rows of a new one, made on the same machine.

    python3 experiments/first-edition.py OLD_RUN NEW_RUN

OLD_RUN holds cells.csv, heads.csv and memory.csv as the first edition wrote them (revision 5c8d2fc and before). NEW_RUN
holds rows.csv, heads.csv and memory.csv. Every cell, head and share of memory of the old run must be in the new one with
equal numbers. Means over texts, which the new run leaves to reports, may differ by 1e-12. On success the script prints
one line per file and exits with 0.
"""

import csv
import gzip
import sys
from pathlib import Path

# Old column, new column.
CELLS = {
    "oracle": "oracle",
    "conserving": "conserving",
    "context_tokens": "context_tokens",
    "asked_tokens": "asked_entries",
    "kept_tokens": "kept_entries",
    "full_tokens": "full_entries",
    "cache_bytes": "cache_bytes",
    "full_bytes": "full_bytes",
    "attention_preservation": "attention_cosine",
    "retained_mass": "retained_mass",
    "kl_nats": "kl_nats",
    "agreement": "agreement",
    "nll_nats": "nll_nats",
    "targets": "targets",
    "bytes_scored": "bytes_scored",
    "correct": "correct",
    "questions": "questions",
}
MEMORY = ["weight_bytes", "kv_bytes", "activation_bytes", "total_bytes", "kv_fraction", "published_fraction"]
ROUNDING = 1e-12


def read(folder, name):
    path = Path(folder) / name
    file = open(path, newline="", encoding="utf-8") if path.exists() else gzip.open(f"{path}.gz", "rt", newline="", encoding="utf-8")
    with file:
        return list(csv.DictReader(file))


def same(old, new):
    """Whether two values are equal as texts or as numbers."""
    if old == new:
        return True
    try:
        return float(old) == float(new)
    except ValueError:
        return False


def end(message):
    sys.exit(f"failed: {message}")


def compare(what, old, new, columns):
    """Fails unless every old row is among the new ones with equal values."""
    for key, row in old.items():
        if key not in new:
            end(f"{what} {key} is not in the new run")
        for before, after in columns.items():
            if not same(row[before], new[key][after]):
                end(f"{what} {key}: {before} was {row[before]} and {after} is {new[key][after]}")
    extra = len(new) - len(old)
    print(f"{what}: {len(old)} of {len(old)} are equal in {len(columns)} columns ({extra} more in the new run)")


def text_of(row):
    """The first edition's name of a retrieval context."""
    task, name = row["task"], row["text"]
    return f"recall-{name.rsplit('-', 1)[1]}" if task == "recall-together" else name


def cells(old, new):
    before = {(r["model"], r["policy"], float(r["budget"]), r["text"]): r for r in read(old, "cells.csv")}
    after = {(r["model"], r["policy"], float(r["budget"]), text_of(r)): r for r in read(new, "rows.csv")}
    compare("cells", before, after, CELLS)


def heads(old, new):
    rows = [r for r in read(old, "heads.csv") if r["profile"] != "published"]
    key = lambda r: (r["model"], r["context"], r["text"], r["layer"], r["head"])
    after = {key(r): r for r in read(new, "heads.csv")}
    columns = {name: name for name in ["entropy_bits", "normalised_entropy"]}
    compare("heads", {key(r): r for r in rows if r["text"]}, after, columns)
    sums = {}
    for (model, context, _, layer, head), row in after.items():
        sums.setdefault((model, context, "", layer, head), []).append(float(row["entropy_bits"]))
    means = [r for r in rows if not r["text"]]
    for row in means:
        values = sums[key(row)]
        if abs(sum(values) / len(values) - float(row["entropy_bits"])) > ROUNDING:
            end(f"the mean of head {key(row)} was {row['entropy_bits']} and is {sum(values) / len(values)}")
    print(f"means over texts: {len(means)} of {len(means)} follow from the new rows")


def memory(old, new):
    key = lambda r: (r["model"], r["accounting"], r["context"])
    before = {key(r): r for r in read(old, "memory.csv")}
    compare("memory", before, {key(r): r for r in read(new, "memory.csv")}, {name: name for name in MEMORY})


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for part in (cells, heads, memory):
        part(*sys.argv[1:])


if __name__ == "__main__":
    main()
