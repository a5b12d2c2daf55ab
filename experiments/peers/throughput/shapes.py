"""The models that the engines run: one set of random weights, in the format that each engine reads."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIGURATIONS = HERE.parents[2] / "crates/models/data"
NAMES = {"2b-4t": "BitNet-b1.58-2B-4T", "large": "bitnet_b1_58-large"}


@dataclass
class Shape:
    """A shape, and the files that were made from it."""

    name: str
    layers: int
    config: Path
    # TQ2_0 files by the format of the LM head.
    tq2: dict
    i2s: Path


def readable_by_llama(config):
    """The same shape in the architecture that llama.cpp has: it knows `bitnet`, which computes SiLU where `bitnet-b1.58`
    computes a squared ReLU, and nothing else about 2B-4T."""
    large = json.loads((CONFIGURATIONS / f"{NAMES['large']}.json").read_text())
    kind = {key: large[key] for key in ("architectures", "model_type", "hidden_act")}
    return {key: value for key, value in config.items() if key != "quantization_config"} | kind


def prepare(options, name):
    """Makes missing files: a folder of random weights with `bitkv random`, GGUF files with `bitkv convert`."""
    config = json.loads((CONFIGURATIONS / f"{NAMES[name]}.json").read_text())
    layers = options.layers or config["num_hidden_layers"]
    config["num_hidden_layers"] = layers
    place = options.work / f"{name}-{layers}"
    place.mkdir(parents=True, exist_ok=True)
    wanted = place / "config.json"
    wanted.write_text(json.dumps(config, indent=1))
    shape = Shape(name, layers, wanted, {head: place / f"tq2_0-{head}.gguf" for head in ("f16", "q6_K")}, place / "i2_s.gguf")

    def call(*command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.strip().splitlines()[-1]}")

    def make(file, *command):
        """Writes a file under another name first, so that no half-written file stays."""
        if not file.exists():
            part = file.with_name("part-" + file.name)
            part.unlink(missing_ok=True)
            call(*command, part)
            part.rename(file)

    def convert(file, config, *how):
        """Makes random weights of a configuration in one format."""
        if not file.exists():
            folder = place / "folder"
            shutil.rmtree(folder, ignore_errors=True)
            call(options.bitkv, "random", "--shape", config, "--out", folder)
            make(file, options.bitkv, "convert", folder, "--to", *how)
            shutil.rmtree(folder)

    known = place / "llama-config.json"
    known.write_text(json.dumps(readable_by_llama(config), indent=1))
    convert(shape.tq2["f16"], known, "tq2_0", "--lossy")
    if options.bitnet_bench:
        convert(shape.i2s, wanted, "i2_s")
    if options.llama:
        make(shape.tq2["q6_K"], sys.executable, HERE / "llama_engine.py", "--quantise", shape.tq2["f16"])
    return shape
