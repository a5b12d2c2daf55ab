#!/usr/bin/env python3
"""Kills a run at random moments and checks that resuming it loses nothing.

    cargo build --release
    python3 experiments/kill.py target/release/bitkv experiments/kill.toml --kills 50
    python3 experiments/kill.py target/release/bitkv verify --kills 20

The definition (or `bitkv verify`) runs once without interruption. Then it runs again and again: each time it is killed with
SIGKILL at a random moment, from the first millisecond to the last, and then resumed. After every kill the journal must
hold every complete row that it held before, none twice, each with the bytes that it has in the uninterrupted run. A run
that ends must have the same rows.csv, heads.csv, memory.csv and definition.toml, byte for byte, and must report that it
resumed rows. If a run ends before all kills were made, another one begins.

On success the script prints one line and exits with 0.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The name of a run; its unfinished folder and the journal in it are named after it.
RUN = "run"
JOURNAL = Path(f".{RUN}.partial/.bitkv-journal/rows.csv.journal")
# What a run prints, beside its folder.
DOCUMENT, SAID = "document.json", "said.txt"
# Lines of a journal before the first row.
HEADER = 2


def start(binary, definition, folder):
    """Starts the run in `folder`."""
    what = ["verify"] if definition == "verify" else ["run", definition]
    command = [binary, *what, "--out", str(folder / RUN), "--json"]
    # Output goes to files: a pipe that nobody reads would block a long document.
    with open(folder / DOCUMENT, "wb") as out, open(folder / SAID, "wb") as said:
        return subprocess.Popen(command, stdout=out, stderr=said)


def whole_rows(folder):
    """The journal's rows with complete lines, as bytes, in the order in which they were written."""
    try:
        content = (folder / JOURNAL).read_bytes()
    except FileNotFoundError:
        return []
    # After the last line break there is an incomplete line, or nothing.
    return content.split(b"\n")[HEADER:-1]


def key(row):
    """The second column, which names the cell; the first is the version of the format."""
    return row.split(b",", 2)[1]


def demand(holds, message):
    """Ends the script with a message unless something holds."""
    if not holds:
        sys.exit(f"failed: {message}")


def finish(process, folder):
    """Waits for a run that must succeed, and returns the rows that it resumed."""
    process.wait()
    demand(process.returncode == 0, f"the sweep ends with {process.returncode}: {(folder / SAID).read_text().strip()}")
    return json.loads((folder / DOCUMENT).read_bytes())["resumed"]


def contents(folder):
    """The files of a finished run that may not depend on interruptions, by name."""
    names = ["rows.csv", "heads.csv", "memory.csv", "definition.toml"]
    return {name: (folder / RUN / name).read_bytes() for name in names if (folder / RUN / name).exists()}


def uninterrupted(binary, definition, folder):
    """Returns the contents of the run, the seconds to the first row, and the seconds in total."""
    folder.mkdir()
    began, first = time.monotonic(), None
    process = start(binary, definition, folder)
    while process.poll() is None:
        if first is None and whole_rows(folder):
            first = time.monotonic() - began
        time.sleep(0.002)
    finish(process, folder)
    seconds = time.monotonic() - began
    return contents(folder), seconds if first is None else first, seconds


def check_journal(folder, before, expected):
    """Fails if a row was lost, doubled or changed; returns the rows that are there now."""
    rows = whole_rows(folder)
    keys = [key(row) for row in rows]
    demand(len(set(keys)) == len(keys), "a row is in the journal twice")
    demand(rows[: len(before)] == before, f"{len(before)} rows were there before the kill and are not there after it")
    for row in rows:
        demand(row in expected, f"the row of {key(row).decode()} differs from the uninterrupted run's")
    return rows


def check_end(folder, reference):
    """Fails unless a finished run has the rows of the uninterrupted one and leaves no other files."""
    found = contents(folder)
    rows, due_rows = found["rows.csv"], reference["rows.csv"]
    keys = [key(row) for row in rows.split(b"\n")[1:-1]]
    demand(len(set(keys)) == len(keys), "a row is doubled")
    due = due_rows.count(b"\n") - 1
    demand(len(keys) == due, f"there are {len(keys)} rows and not {due}")
    for name, content in reference.items():
        demand(found.get(name) == content, f"{name} differs from the uninterrupted run's")
    demand(not (folder / JOURNAL).exists(), "the unfinished folder is left behind")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", help="the bitkv program")
    parser.add_argument("definition", help="a definition that takes some seconds, or the word verify")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    arguments = parser.parse_args()
    binary, definition = str(Path(arguments.binary).resolve()), arguments.definition
    moments = random.Random(arguments.seed)

    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        reference, first, seconds = uninterrupted(binary, definition, root / "whole")
        expected = set(reference["rows.csv"].split(b"\n")[1:-1])
        # Time for a start and for up to twice an equal share of the rows.
        longest = first + 2 * (seconds - first) / arguments.kills

        kills, sweeps, idle, before, resumed = 0, 0, 0, [], []
        folder = root / "0"
        folder.mkdir()
        while True:
            process = start(binary, definition, folder)
            try:
                process.wait(moments.uniform(0, longest) if kills < arguments.kills else None)
                resumed.append(finish(process, folder))
                demand(not before or resumed[-1] >= len(before), f"{len(before)} rows were there and {resumed[-1]} resumed")
                check_end(folder, reference)
                sweeps += 1
                if kills == arguments.kills:
                    break
                folder, before = root / str(sweeps), []
                folder.mkdir()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                if (folder / RUN).exists():
                    # The kill came after the folder got its name: the run is finished.
                    check_end(folder, reference)
                    sweeps += 1
                    folder, before = root / str(sweeps), []
                    folder.mkdir()
                    continue
                rows = check_journal(folder, before, expected)
                idle += len(rows) == len(before)
                before = rows

    demand(any(resumed), "no run resumed a row: use a definition that takes longer")
    print(
        f"{kills} kills ({idle} before a new row) in {sweeps} sweeps of {len(expected)} rows: all files are byte-identical to those "
        f"of the uninterrupted run ({seconds:.1f} s), no row is lost and none doubled; rows resumed: {resumed}"
    )


if __name__ == "__main__":
    main()
