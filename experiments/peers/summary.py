"""Medians and ranges of a comparison, as JSON and as Markdown."""

import json
import platform
from importlib.metadata import version
from statistics import median

PACKAGES = ["kvpress", "transformers", "torch"]


def write(options, texts, rounds):
    """Writes `grid.json` and `grid.md`, and prints `grid.md`."""
    summary = of(options, texts, rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "grid.json").write_text(json.dumps(summary, indent=1) + "\n")
    (options.out / "grid.md").write_text(markdown(summary))
    print(markdown(summary), end="")


def of(options, texts, rounds):
    cells = len(rounds[0]["cells"])
    names = list(dict.fromkeys(cell["press"] for cell in rounds[0]["cells"]))
    bitkv = spread([cells / r["bitkv_seconds"] for r in rounds])
    peer = spread([cells / r["peer_seconds"] for r in rounds])
    return {
        "model": options.model,
        "weights": options.weights,
        "texts": [text.stem for text in texts],
        "threads": options.threads,
        "dtype": options.dtype,
        "cells": cells,
        "cpu": cpu(),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "load_before": [r["load_before"] for r in rounds],
        "bitkv_cells_per_second": bitkv,
        "kvpress_cells_per_second": peer,
        "ratio": spread([r["peer_seconds"] / r["bitkv_seconds"] for r in rounds]),
        "processor_ratio": spread([r["peer_processor_seconds"] / r["bitkv_processor_seconds"] for r in rounds]),
        # What would remain of kvpress' time if the prefill, shared by all cells of a text, cost nothing.
        "ratio_without_prefills": spread([continuations(r) / r["bitkv_seconds"] for r in rounds]),
        # The time if the presses whose continuations are read in pieces took as long as the others.
        "ratio_of_one_pass_presses": spread([one_pass(r) * cells / r["bitkv_seconds"] for r in rounds]),
        "presses": {name: of_press(name, rounds) for name in names},
        "cells_of_kvpress": rounds[-1]["cells"],
    }


def continuations(one):
    return sum(cell["seconds"] - cell["prefill_seconds"] for cell in one["cells"])


def one_pass(one):
    """Mean seconds per cell over the presses that read every continuation in one pass."""
    longest = max(cell["piece"] for cell in one["cells"])
    masked = {cell["press"] for cell in one["cells"] if cell["piece"] < longest}
    seconds = [cell["seconds"] for cell in one["cells"] if cell["press"] not in masked]
    return sum(seconds) / len(seconds)


def of_press(name, rounds):
    cells = [cell for r in rounds for cell in r["cells"] if cell["press"] == name]
    keys = ["seconds", "prefill_seconds"]
    return {key: median(cell[key] for cell in cells) for key in keys} | {"piece": min(cell["piece"] for cell in cells)}


def spread(values):
    return {"median": median(values), "least": min(values), "most": max(values)}


def cpu():
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    except OSError:
        return platform.processor() or platform.machine()


def markdown(s):
    def row(what, key):
        v = s[key]
        return f"| {what} | {v['median']:.1f} | {v['least']:.1f} to {v['most']:.1f} |"

    weights = f"the weights of {s['model']}" if s["weights"] == "own" else f"random weights in the shape of {s['model']}"
    versions = ", ".join(f"{name} {number}" for name, number in s["versions"].items())
    head = [
        "# The same grid here and in transformers + kvpress",
        "",
        f"{s['cells']} cells: 15 presses, 6 budgets, {len(s['texts'])} texts of 896 + 127 tokens, {weights}; "
        f"kvpress in {s['dtype']}; {s['threads']} threads of {s['cpu']}; {len(s['load_before'])} rounds in turns, load before "
        f"each {', '.join(f'{load:.1f}' for load in s['load_before'])}; {versions}.",
        "",
        "| | median | range |",
        "|---|---:|---:|",
        row("bitkv, cells a second", "bitkv_cells_per_second"),
        row("transformers + kvpress, cells a second", "kvpress_cells_per_second"),
        row("ratio", "ratio"),
        row("ratio of processor seconds", "processor_ratio"),
        row("ratio, if kvpress' prefills cost nothing", "ratio_without_prefills"),
        row("ratio, presses that read the continuation in one pass", "ratio_of_one_pass_presses"),
        "",
        "Median seconds of a cell of kvpress:",
        "",
        "| press | cell | of it prefill and compression | tokens a pass |",
        "|---|---:|---:|---:|",
    ]
    presses = [
        f"| {name} | {p['seconds']:.3f} | {p['prefill_seconds']:.3f} | {p['piece']} |" for name, p in s["presses"].items()
    ]
    return "\n".join(head + presses) + "\n"
