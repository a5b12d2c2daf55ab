"""Medians, spread and ratios of a comparison, as JSON and as Markdown; tests where a peer is faster come first."""

import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

# Tests of the peers, and bitkv's engine and test that each is compared with.
RIVALS = {"prefill": ("bitkv", "prefill"), "decode": ("bitkv", "decode"), "entropy": ("bitkv, probes", "entropy")}


def write(folder, summary):
    """Writes `throughput.json` and `throughput.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "throughput.json").write_text(json.dumps(summary, indent=1) + "\n")
    (folder / "throughput.md").write_text(markdown(summary))


def of(options, commit, measured):
    return {
        "revision": commit,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine(measured),
        "python": platform.python_version(),
        "command": command(sys.argv[1:]),
        "shapes": [of_shape(one) for one in measured],
        "measured": measured,
    }


def command(given):
    """The command line for the record, without the program that run.sh names and without the paths of this machine."""
    if given[:1] == ["--bitkv"]:
        given = given[2:]
    return " ".join(["experiments/peers/throughput/run.sh", *(Path(part).name if part.startswith("/") else part for part in given)])


def machine(measured):
    """bitkv's own rows of a shape, with the ceilings that it measured between the passes."""
    rounds = [r["versions"] for one in measured for r in one["engines"][0]["rounds"]]
    keys = rounds[0]["ceilings"] if rounds else {}
    return {
        **(rounds[0]["machine"] if rounds else {}),
        "system": f"{platform.system()} {platform.release()}",
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "ceilings": {key: median(r["ceilings"][key] for r in rounds) for key in keys if key != "threads"},
    }


def spread(values):
    return {"median": median(values), "min": min(values), "max": max(values)}


def rates(engine, test):
    """Tokens per second of each round, and the number of tokens."""
    found = [row for r in engine["rounds"] for row in r["rows"] if row["test"] == test]
    return [row["tokens"] / row["seconds"] for row in found], found[0]["tokens"] if found else 0


def of_shape(one):
    """Rows of every engine and test, and the ratio of bitkv to each peer."""
    engines = {engine["engine"]: engine for engine in one["engines"]}
    rows = []
    for engine in one["engines"]:
        for test in ("prefill", "decode", "entropy"):
            values, tokens = rates(engine, test)
            if not values:
                continue
            row = {"engine": engine["engine"], "test": test, "tokens": tokens, "tokens_per_second": spread(values)}
            row["peak_rss_bytes"] = max(r["peak_rss_bytes"] for r in engine["rounds"])
            row["load_before"] = spread([r["load_before"] for r in engine["rounds"]])
            own, ours = RIVALS[test]
            if not engine["engine"].startswith("bitkv"):
                mine, _ = rates(engines[own], ours)
                # Ratios are taken within a round, whose engines ran one after another.
                row["ratio"] = spread([a / b for a, b in zip(mine, values)]) if mine else None
            rows.append(row)
    by_test = {row["test"]: row for row in rows if row["engine"] == "bitkv, probes"}
    observing = None
    if {"prefill", "entropy"} <= by_test.keys():
        plain, _ = rates(engines["bitkv, probes"], "prefill")
        seen, _ = rates(engines["bitkv, probes"], "entropy")
        observing = spread([a / b for a, b in zip(plain, seen)])
    skipped = [{"engine": e["engine"], "why": e["skipped"]} for e in one["engines"] if e["skipped"]]
    return {"shape": one["shape"], "layers": one["layers"], "rows": rows, "observing": observing, "skipped": skipped}


def markdown(s):
    machine = s["machine"]
    ceilings = ", ".join(f"{key.replace('_', ' ')} {value / 1e9:.4g} G" for key, value in machine["ceilings"].items())
    lines = [
        "# bitkv and its peers on the same shapes",
        "",
        f"{s['date']}, revision {s['revision'][:12]}, {s['threads']} threads of {machine.get('cpu', 'a processor')} "
        f"({', '.join(machine.get('simd', []))}), {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}, "
        f"{s['rounds']} rounds in turns; medians (least - most). Random weights, except those of smollm2 in bitkv and llama.cpp. Ratio: bitkv's rate over the peer's, in the median "
        "of the rounds; of entropy, a profile of every head and query position.",
        "",
        f"Ceilings measured in between: {ceilings}.",
        "",
    ]
    slower = [
        f"- {shape['shape']}: {row['engine']} is faster at {row['test']} of {row['tokens']} tokens "
        f"(bitkv reaches {row['ratio']['median']:.2f} of it)."
        for shape in s["shapes"]
        for row in shape["rows"]
        if row.get("ratio") and row["ratio"]["median"] < 1
    ]
    lines += ["## Slower than a peer", "", *(slower or ["Nothing that was measured."]), ""]
    for shape in s["shapes"]:
        lines += of_table(shape)
    lines += ["## Versions and commands", ""]
    for one in s["measured"][:1]:
        for engine in one["engines"]:
            versions = engine["rounds"][0]["versions"] if engine["rounds"] else {}
            plain = {k: v for k, v in versions.items() if k not in ("ceilings", "machine")}
            lines.append(f"- {engine['engine']}: `{engine['command']}`; {json.dumps(plain)}")
    return "\n".join(lines) + "\n"


def of_table(shape):
    lines = [
        f"## {shape['shape']}, {shape['layers']} layers",
        "",
        "| engine | test | tokens/s | ratio | peak memory, GB | load before |",
        "|---|---|---:|---:|---:|---:|",
    ]
    # Peers that are faster than bitkv first, then by test.
    order = {"prefill": 0, "decode": 1, "entropy": 2}

    def place(row):
        ratio = row.get("ratio")
        return (not (ratio and ratio["median"] < 1), order[row["test"]], -row["tokens_per_second"]["median"])

    for row in sorted(shape["rows"], key=place):
        rate, ratio = row["tokens_per_second"], row.get("ratio")
        lines.append(
            f"| {row['engine']} | {row['test']} {row['tokens']} | {rate['median']:.1f} ({rate['min']:.1f} - {rate['max']:.1f}) "
            f"| {'' if not ratio else format(ratio['median'], '.2f')} | {row['peak_rss_bytes'] / 1e9:.2f} "
            f"| {row['load_before']['median']:.1f} |"
        )
    lines += [f"| {one['engine']} | not measured: {one['why']} | | | | |" for one in shape["skipped"]]
    observing = shape["observing"]
    if observing:
        cost = f"{observing['median']:.2f} ({observing['min']:.2f} - {observing['max']:.2f})"
        lines += ["", f"Observing the entropy of every head and query position takes bitkv {cost} times a prefill that observes nothing."]
    return lines + [""]
