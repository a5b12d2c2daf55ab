"""Writes tiny-gqa.safetensors: the keys and values of the built-in model tiny-gqa for the first 64 tokens of a text.

    cargo run --release -- trace --model tiny-gqa --prompt "$(head -c 320 calibration/texts/evaluation/01-exposition.txt)" --out trace.safetensors
    python3 observe.py trace.safetensors tiny-gqa.safetensors

`bitkv trace` also writes every hidden state and logit. This script keeps only `k.{layer}` and `v.{layer}`,
`[kv_heads, tokens, head_dim]` in F32, for the first 64 tokens. It needs Python and no packages.
"""

import json
import struct
import sys

TOKENS = 64

source, target = sys.argv[1:]
with open(source, "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    data = file.read()

kept, tensors, offset = [], {}, 0
for name in sorted(name for name in header if name[:2] in ("k.", "v.")):
    heads, tokens, width = header[name]["shape"]
    assert tokens >= TOKENS, f"the prompt has {tokens} tokens: give a longer one"
    start = header[name]["data_offsets"][0]
    for head in range(heads):
        first = start + 4 * head * tokens * width
        kept.append(data[first : first + 4 * TOKENS * width])
    size = 4 * heads * TOKENS * width
    tensors[name] = {"dtype": "F32", "shape": [heads, TOKENS, width], "data_offsets": [offset, offset + size]}
    offset += size

text = json.dumps(tensors, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(target, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"".join(kept))
