"""What kvpress keeps, and the KL of it, on a built-in model: the fixture of crates/lab/tests/kvpress_kl.rs.

    requirements: requirements.txt
    run:          python experiments/peers/kl_fixture.py  (writes crates/lab/testdata/kvpress-kl.json, in about a minute)

The model is the frozen testdata/models/first-gqa, which transformers runs as a BitNet in float32 on one thread. Every
press has its own prefill of 896 tokens, and then reads 127 tokens through the compressed cache, as in kvpress_grid.py.
"""

import json
import platform
from importlib.metadata import version

import torch
from kvpress_grid import ROOT, TEXTS
from peer import CONTEXT, HORIZON, Peer
from presses import make
from summary import PACKAGES
from torch.nn.functional import log_softmax

MODEL = "first-gqa"
RATIO = 0.8
CELL_TEXTS = ["01-exposition", "10-questions-answers", "18-json"]
CELL_PRESSES = ["lagkv", "chunkkv", "snapkv"]
OUT = ROOT / "crates/lab/testdata/kvpress-kl.json"


def kept_entries(peer, press, context):
    """The number of entries (one token of one KV head) that the press leaves in the cache."""
    with make(press, RATIO)(peer.model):
        cache = peer.prefilled(context)
    return sum(layer.keys.shape[1] * layer.keys.shape[2] for layer in cache.layers)


@torch.inference_mode()
def cells(peer, text):
    context, continuation = peer.tokens((TEXTS / f"{text}.txt").read_text())
    reference = log_softmax(peer.continued(peer.prefilled(context), continuation).float(), -1)
    for press in CELL_PRESSES:
        kl = peer.cell(press, RATIO, context, continuation, reference)["kl_nats"]
        yield {"text": text, "press": press, "kl_nats": kl, "kept_entries": kept_entries(peer, press, context)}


def main():
    torch.set_num_threads(1)
    peer = Peer(ROOT / "testdata/models" / MODEL, True, torch.float32)
    versions = {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}
    grid = {"model": MODEL, "context": CONTEXT, "horizon": HORIZON, "ratio": RATIO}
    found = [cell for text in CELL_TEXTS for cell in cells(peer, text)]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"versions": versions, **grid, "cells": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
