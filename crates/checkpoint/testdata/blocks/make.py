"""Writes blocks.json: blocks of every block coding, and their values by the Python package `gguf`.

Run with gguf 0.17.1 and numpy: `python make.py`. Each coding has four blocks of random bytes, whose f16 scales are
finite. A value is given as the bits of an f32, as hexadecimal digits.
"""

import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

BLOCKS = 4

# The coding, and the positions of f16 scales in a block.
CODINGS = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
}

random = np.random.default_rng(15)
result = {}
for name, scales in CODINGS.items():
    values, size = GGML_QUANT_SIZES[Type[name]]
    blocks = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for at in scales:
        d = (random.standard_normal(BLOCKS) / 8).astype(np.float16)
        blocks[:, at : at + 2] = d.view(np.uint8).reshape(BLOCKS, 2)
    # Blocks of extreme bytes.
    blocks[0, [i for i in range(size) if not any(i - at in (0, 1) for at in scales)]] = 255
    blocks[1, [i for i in range(size) if not any(i - at in (0, 1) for at in scales)]] = 0
    decoded = dequantize(blocks.reshape(-1), Type[name]).astype(np.float32).reshape(-1)
    assert decoded.size == BLOCKS * values
    result[name] = {
        "bytes": blocks.tobytes().hex(),
        "values": decoded.astype("<f4").tobytes().hex(),
    }

path = pathlib.Path(__file__).with_name("blocks.json")
path.write_text(json.dumps(result, indent=1) + "\n")
