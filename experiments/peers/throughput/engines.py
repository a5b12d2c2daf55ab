"""The engines that are compared: how each is started, and what it prints. Each run is a separate process."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent

# A small parent process whose only child is the engine, so that it can read the child's largest memory.
PARENT = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(done.returncode)
"""


class Failed(Exception):
    """A process that failed."""


@dataclass
class Engine:
    """A program that measures one model and prints the result."""

    name: str
    command: list
    # From standard output to rows `{test, tokens, seconds}`, versions, and the largest memory if the engine prints it.
    read: Callable
    environment: dict = field(default_factory=dict)
    # Why the engine does not run; empty if it does.
    skipped: str = ""

    def run(self):
        """Rows, versions and the largest resident memory in bytes of one process."""
        command = [sys.executable, "-c", PARENT, *map(str, self.command)]
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        lines = done.stderr.strip().splitlines()
        if done.returncode != 0:
            raise Failed(f"{self.name} failed: {lines[-2] if len(lines) > 1 else done.returncode}")
        rows, versions, peak = self.read(done.stdout)
        return rows, versions, peak or int(lines[-1].split()[1])

    def said(self):
        """The command line for the record, without the paths of this machine."""
        forced = [f"{key}={value}" for key, value in self.environment.items()]
        parts = [Path(part).name if "/" in str(part) else str(part) for part in self.command]
        return " ".join(forced + parts)


def of_json(said):
    found = json.loads(said)
    return found["rows"], found["versions"], None


def of_bitkv(said):
    """bitkv prints its own memory, because that of the process includes the buffers of the ceilings."""
    found = json.loads(said)
    rows = []
    for row in found["rows"]:
        test = "entropy" if row["probes"] == "entropy" else row["test"]
        rows.append({"test": test, "tokens": row["tokens"], "seconds": row["seconds"][0]})
    ceilings = {key: value for key, value in found["ceilings"].items() if value is not None}
    versions = {"bitkv": found["versions"], "isa": found["isa"], "ceilings": ceilings, "machine": found["machine"]}
    return rows, versions, found["peak_rss_bytes"]


def of_llama_bench(said):
    """llama-bench's own JSON: one object for each test."""
    found = json.loads(said[said.index("[") :])
    rows = []
    for one in found:
        test, tokens = ("prefill", one["n_prompt"]) if one["n_prompt"] else ("decode", one["n_gen"])
        rows.append({"test": test, "tokens": tokens, "seconds": one["avg_ns"] / 1e9})
    return rows, {"llama-bench of commit": found[0]["build_commit"]}, None


def has_module(name):
    """Whether this interpreter can import the module."""
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0


def model_of(shape):
    """The options that name the model of a shape to `bitkv bench`."""
    return ["--model", shape.model] if shape.model else ["--shape", shape.config]


def bitkv(options, shape, isa=""):
    command = [options.bitkv, "bench", *model_of(shape), "--threads", options.threads]
    command += ["--warm-up", 1, "--repeats", 1, "--json", "--prefill", options.prefill, "--decode", options.decode]
    return Engine(f"bitkv {isa}".strip(), command, of_bitkv, {"BITKV_ISA": isa} if isa else {})


def bitkv_entropy(options, shape):
    command = [options.bitkv, "bench", *model_of(shape), "--threads", options.threads, "--warm-up", 1]
    command += ["--repeats", 1, "--json", "--prefill", options.entropy, "--probes", "off,entropy"]
    return Engine("bitkv, probes", command, of_bitkv)


def llama_cpp(options, shape, kind):
    command = [sys.executable, HERE / "llama_engine.py", "--model", shape.llama[kind], "--threads", options.threads]
    command += ["--prefill", options.prefill, "--decode", options.decode]
    missing = "" if has_module("llama_cpp") else "llama-cpp-python is not installed"
    return Engine(f"llama.cpp {kind}", command, of_json, skipped=missing)


def bitnet_cpp(options, shape):
    command = [options.bitnet_bench or "llama-bench", "-m", shape.i2s, "-t", options.threads, "-p", options.prefill]
    command += ["-n", options.decode, "-r", 1, "-ngl", 0, "-o", "json"]
    missing = "" if options.bitnet_bench else "no llama-bench of bitnet.cpp was named: give --bitnet-bench"
    return Engine("bitnet.cpp I2_S, f16 head", command, of_llama_bench, skipped=missing)


def transformers(options, shape, attention):
    command = [sys.executable, HERE / "transformers_engine.py", "--config", shape.config]
    command += ["--threads", options.threads, "--attention", attention]
    if attention == "sdpa":
        command += ["--prefill", options.prefill, "--decode", min(options.decode, 16)]
    else:
        command += ["--entropy", options.entropy]
    missing = "" if has_module("transformers") else "transformers is not installed"
    return Engine(f"transformers bf16, {attention}", command, of_json, {"OMP_NUM_THREADS": str(options.threads)}, missing)


def all_of(options, shape):
    """Every engine on one shape: bitkv first, then its peers."""
    forced = [isa for isa in ("avx512", "avx2") if isa in options.isa]
    return [
        bitkv(options, shape),
        *(bitkv(options, shape, isa) for isa in forced),
        bitkv_entropy(options, shape),
        *([bitnet_cpp(options, shape)] if shape.i2s else []),
        *(llama_cpp(options, shape, kind) for kind in shape.llama),
        transformers(options, shape, "sdpa"),
        transformers(options, shape, "eager"),
    ]
