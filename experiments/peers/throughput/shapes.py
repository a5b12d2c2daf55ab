"""The models that the engines run: random weights in the format that each engine reads, or the file of a real model."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIGURATIONS = HERE.parents[2] / "crates/models/data"
RANDOM = {"2b-4t": "BitNet-b1.58-2B-4T", "large": "bitnet_b1_58-large"}
REAL = "smollm2"
NAMES = [*RANDOM, REAL]


@dataclass
class Shape:
    """A shape, and the files that were made from it."""

    name: str
    layers: int
    config: Path
    # Files that llama.cpp reads, by what they hold.
    llama: dict = field(default_factory=dict)
    # The file that bitnet.cpp reads; `None` if it cannot run the model.
    i2s: Path | None = None
    # The file that bitkv reads; `None` if it makes random weights of the shape.
    model: Path | None = None


def readable_by_llama(config):
    """The same shape in the architecture that llama.cpp has: it knows `bitnet`, which computes SiLU where `bitnet-b1.58`
    computes a squared ReLU, and nothing else about 2B-4T."""
    large = json.loads((CONFIGURATIONS / f"{RANDOM['large']}.json").read_text())
    kind = {key: large[key] for key in ("architectures", "model_type", "hidden_act")}
    return {key: value for key, value in config.items() if key != "quantization_config"} | kind


def real(options):
    """SmolLM2: a full-precision model, whose file bitkv and llama.cpp both read. transformers makes random weights."""
    if not options.smollm2 or not options.smollm2.is_file():
        sys.exit("the shape smollm2 needs its file: experiments/smollm2/fetch.sh gets it; name it with --smollm2 or BITKV_SMOLLM2")
    config = HERE / "smollm2.json"
    layers = json.loads(config.read_text())["num_hidden_layers"]
    return Shape(REAL, layers, config, {"Q4_1": options.smollm2}, model=options.smollm2)


def prepare(options, name):
    """Makes missing files: a folder of random weights with `bitkv random`, GGUF files with `bitkv convert`."""
    if name == REAL:
        return real(options)
    config = json.loads((CONFIGURATIONS / f"{RANDOM[name]}.json").read_text())
    layers = options.layers or config["num_hidden_layers"]
    config["num_hidden_layers"] = layers
    place = options.work / f"{name}-{layers}"
    place.mkdir(parents=True, exist_ok=True)
    wanted = place / "config.json"
    wanted.write_text(json.dumps(config, indent=1))
    f16, q6_k = (place / f"tq2_0-{head}.gguf" for head in ("f16", "q6_K"))
    shape = Shape(name, layers, wanted, {"TQ2_0, f16 head": f16, "TQ2_0, q6_K head": q6_k}, place / "i2_s.gguf")

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
    convert(f16, known, "tq2_0", "--lossy")
    if options.bitnet_bench:
        convert(shape.i2s, wanted, "i2_s")
    if options.llama:
        make(q6_k, sys.executable, HERE / "llama_engine.py", "--quantise", f16)
    return shape
