#!/usr/bin/env python3
"""Runs a definition for a long time and watches what the process needs.

    cargo build --release
    python3 experiments/soak.py target/release/bitkv experiments/soak.toml --minutes 45
    python3 experiments/soak.py target/release/bitkv experiments/soak.toml --minutes 45 --shape large

With --shape, the models of the definition are replaced by one with random weights of that shape. Every second the script
reads the resident memory, the open files, the CPU time and the rows of the journal. After the time, the run is stopped
with SIGTERM. The first quarter is the warm-up. The script prints, for the rest: the slope of the resident memory with its
95 % interval, the open files, and the CPU time of a row in each third. It exits with 1 if the memory grows by more than
1 % of its median an hour and the interval excludes zero, if files stay open, or if a row of the last third takes more than
10 % longer than one of the first.

CPU time is measured and not the time on the clock, because other processes may use the machine.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def sample(pid, journal):
    """Resident bytes, open files, CPU seconds and rows."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) * 1024
    # The name of a program may contain blanks, so the fields after its closing bracket are counted.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    try:
        rows = journal.read_bytes().count(b"\n") - 2
    except FileNotFoundError:
        rows = 0
    return resident, len(os.listdir(f"/proc/{pid}/fd")), (int(fields[11]) + int(fields[12])) / TICKS, max(rows, 0)


def slope(times, values):
    """The slope by least squares and half of its 95 % interval, from means of blocks, because neighbours are alike."""
    blocks = 12
    size = len(times) // blocks
    x = [statistics.fmean(times[i * size : (i + 1) * size]) for i in range(blocks)]
    y = [statistics.fmean(values[i * size : (i + 1) * size]) for i in range(blocks)]
    line = statistics.linear_regression(x, y)
    rest = sum((b - line.intercept - line.slope * a) ** 2 for a, b in zip(x, y)) / (blocks - 2)
    spread = sum((a - statistics.fmean(x)) ** 2 for a in x)
    # The 97.5 % quantile of Student's t with 10 degrees of freedom.
    return line.slope, 2.228 * (rest / spread) ** 0.5


def definition(source, folder, binary, shape):
    """The definition that is run: its text is that of the file, with other models if a shape is given."""
    text = Path(source).read_text()
    if shape:
        subprocess.run([binary, "random", "--shape", shape, "--out", str(folder / "model"), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        tokenizer = Path(__file__).parent.parent / "models" / "tiny-gqa" / "tokenizer.json"
        (folder / "model" / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        text = text.replace('["tiny-mha", "tiny-gqa"]', json.dumps([str(folder / "model")]))
    path = folder / "soak.toml"
    path.write_text(text)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("definition")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--shape", help="measure a random model of this shape instead")
    parser.add_argument("--out", help="write the samples to this CSV file")
    arguments = parser.parse_args()
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = definition(arguments.definition, folder, binary, arguments.shape)
        journal = folder / ".run.partial" / ".bitkv-journal" / "rows.csv.journal"
        with open(folder / "said.txt", "wb") as said:
            command = [binary, "run", str(path), "--out", str(folder / "run")]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        began, samples = time.monotonic(), []
        while time.monotonic() - began < 60 * arguments.minutes and process.poll() is None:
            try:
                samples.append((time.monotonic() - began, *sample(process.pid, journal)))
            except (FileNotFoundError, ProcessLookupError, IndexError):
                break
            time.sleep(1)
        ended = process.poll()
        process.send_signal(signal.SIGTERM) if ended is None else None
        process.wait()
        words = (folder / "said.txt").read_text().strip().splitlines()
    if ended is not None:
        sys.exit(f"the run ended with {ended} before the time: {words[-1:]}")
    if arguments.out:
        lines = "".join(",".join(f"{value:g}" for value in each) + "\n" for each in samples)
        Path(arguments.out).write_text("seconds,resident_bytes,files,cpu_seconds,rows\n" + lines)
    sys.exit(judge(samples[len(samples) // 4 :], words))


def judge(samples, words):
    times, resident, files, cpu, rows = (list(column) for column in zip(*samples))
    growth, half = slope([t / 3600 for t in times], resident)
    third = len(samples) // 3
    per_row = [
        (cpu[end] - cpu[start]) / max(rows[end] - rows[start], 1)
        for start, end in ((0, third), (third, 2 * third), (2 * third, 3 * third - 1))
    ]
    median = statistics.median(resident)
    print(f"{rows[-1]} rows in {times[-1] / 60:.1f} minutes; the last {(times[-1] - times[0]) / 60:.1f} minutes are judged")
    print(f"resident memory: {min(resident) / 1e6:.1f} to {max(resident) / 1e6:.1f} MB, median {median / 1e6:.1f} MB; "
          f"slope {growth / 1e6:+.2f} MB an hour, 95 % interval {(growth - half) / 1e6:+.2f} to {(growth + half) / 1e6:+.2f}")
    print(f"open files: {min(files)} to {max(files)}; at the end {files[-1]}")
    print("CPU milliseconds of a row in each third: " + ", ".join(f"{1000 * value:.2f}" for value in per_row))
    print(f"said at the end: {words[-1] if words else ''}")
    grows = growth - half > 0 and growth > 0.01 * median
    leaks, drifts = files[-1] > files[0] + 2, per_row[2] > 1.1 * per_row[0]
    return int(grows or leaks or drifts)


if __name__ == "__main__":
    main()
