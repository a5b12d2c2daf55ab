"""The cells of the comparison, and the files of the kvpress side in target/kvpress-end-to-end."""

import hashlib
import json
import os
import shutil
import struct
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target/kvpress-end-to-end"
GGUF = ROOT / "target/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TEXTS = ["01-exposition", "05-code-rust", "09-legal", "14-news", "18-json"]
PRESSES = [
    "streaming_llm",
    "snapkv",
    "tova",
    "knorm",
    "keydiff",
    "expected_attention",
    "observed_attention",
    "pyramidkv",
    "adakv_snapkv",
]
RATIOS = [0.5, 0.75, 0.9]

# What names a cell. Finished cells have all of these in common with a cell that would be measured again.
KEY = ["model", "text", "press", "ratio", "context", "horizon", "cache", "tokens"]


def key(cell):
    return tuple(cell[name] for name in KEY)


def read(folder):
    """All finished cells, by key. The last line lacks its end if the process was killed while it was written."""
    file = folder / "cells.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if whole != lines:
        replace(file, "".join(whole))
    return {key(cell): cell for cell in map(json.loads, whole)}


def append(folder, cell):
    with open(folder / "cells.jsonl", "a") as file:
        file.write(json.dumps(cell) + "\n")
        file.flush()
        os.fsync(file.fileno())


def replace(file, text):
    temporary = file.with_name(file.name + ".partial")
    temporary.write_text(text)
    temporary.replace(file)


def copy_texts(folder):
    """Puts the texts into a folder of their own, which the definition names."""
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    for text in TEXTS:
        shutil.copyfile(ROOT / f"calibration/texts/evaluation/{text}.txt", folder / f"texts/{text}.txt")


def tokens_file(folder, model, text):
    return folder / f"tokens/{model}/{text}.json"


def kept_file(folder, cell):
    return folder / f"kept/{cell['model']}/{cell['cache']}/{cell['text']}/{cell['press']}-{cell['ratio']}.npy"


def write_kept(folder, cell, kept):
    """Writes the kept positions, `[layers, KV heads, context]`, as one bit for each."""
    file = kept_file(folder, cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.packbits(kept, axis=-1))


def read_kept(folder, cell):
    return np.unpackbits(np.load(kept_file(folder, cell)), axis=-1, count=cell["context"]).astype(bool)


def plan_hash(kept):
    """The hash of kept positions that the rows of a bitkv run have in the column `plan_hash`."""
    found = hashlib.sha256()
    for head in kept.reshape(-1, kept.shape[-1]):
        positions = ",".join(map(str, np.flatnonzero(head))).encode()
        found.update(struct.pack("<Q", len(positions)) + positions)
    return found.hexdigest()[:16]
