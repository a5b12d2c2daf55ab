"""Print what a GGUF file holds and compare its tensors with a Hugging Face checkpoint.

    python check_gguf.py FILE.gguf [FOLDER]      requirements: gguf==0.19.0, and those of make_goldens.py

The header is parsed here, because `gguf.GGUFReader` refuses a file with a tensor of type 36 (I2_S); where the reader
accepts the file, both must agree.  TQ1_0, TQ2_0 and the usual types are decoded by `gguf.quants.dequantize`, I2_S
(canonical layout) here.  Every ternary matrix must equal codes * scale of FOLDER, packed or masters; every tensor
that is not ternary must equal the stored one as its type holds it.  Exit status 1 and a line per tensor that differs.
"""

import argparse
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True

import gguf
import numpy as np
import torch

from families import PROJECTIONS, Shape
from reference import load_checkpoint, ternary

I2_S = 36
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
PARTS = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]


# ---------------------------------------------------------------- the container


@dataclass
class Tensor:
    shape: tuple  # rows first, as numpy has it
    kind: int
    offset: int  # from the beginning of the file

    def kind_name(self):
        return "I2_S" if self.kind == I2_S else gguf.GGMLQuantizationType(self.kind).name

    def bytes(self):
        elements = int(np.prod(self.shape))
        if self.kind == I2_S:
            return elements // 4 + 32
        block, size = gguf.GGML_QUANT_SIZES[self.kind]
        assert self.shape[-1] % block == 0, f"rows of {self.shape[-1]} do not divide into blocks of {block}"
        return elements // block * size


class File:
    """metadata: {key: value}; tensors: {name: Tensor}."""

    def __init__(self, path):
        self.data, self.at = path.read_bytes(), 0
        assert self.data[:4] == b"GGUF", f"{path} does not begin with GGUF"
        self.at = 4
        self.version, tensors, keys = self.number("I"), self.number("Q"), self.number("Q")
        assert self.version in (2, 3), f"version {self.version}"
        self.metadata = {self.string(): self.value(self.number("I")) for _ in range(keys)}
        self.tensors = {self.string(): self.tensor() for _ in range(tensors)}
        alignment = self.metadata.get("general.alignment", 32)
        start = -(-self.at // alignment) * alignment
        end = start
        for name, t in self.tensors.items():
            assert t.offset % alignment == 0, f"{name} is at {t.offset}, not a multiple of {alignment}"
            t.offset += start
            assert t.offset >= end, f"{name} begins before the tensor listed before it ends"
            end = t.offset + t.bytes()
            assert end <= len(self.data), f"{name} ends at {end} of {len(self.data)} bytes"

    def number(self, code):
        value, = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += struct.calcsize(code)
        return value

    def string(self):
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.number(NUMBERS[kind])
        element, count = self.number("I"), self.number("Q")
        return [self.value(element) for _ in range(count)]

    def tensor(self):
        shape = tuple(reversed([self.number("Q") for _ in range(self.number("I"))]))
        return Tensor(shape, self.number("I"), self.number("Q"))

    def decode(self, t):
        """The values, float32, in `t.shape`."""
        data = np.frombuffer(self.data, np.uint8, t.bytes(), t.offset)
        if t.kind == I2_S:
            return decode_i2_s(data, t.shape)
        # The package takes numbers as they are and blocks as bytes.
        plain = {0: np.float32, 1: np.float16}.get(t.kind, np.uint8)
        return gguf.quants.dequantize(data.view(plain).reshape(*t.shape[:-1], -1), t.kind).reshape(t.shape)


def decode_i2_s(data, shape):
    """Byte p of a block of 32 holds elements p, p + 32, p + 64, p + 96 of 128, the highest bits first; one f32 scale
    behind all blocks."""
    elements = int(np.prod(shape))
    assert shape[-1] % 128 == 0, f"rows of {shape[-1]} are not multiples of 128"
    packed = data[:elements // 4].reshape(-1, 1, 32)
    codes = (packed >> np.array([6, 4, 2, 0], np.uint8)[:, None]) & 3
    assert codes.max() < 3, "code 3"
    scale = data[elements // 4:elements // 4 + 4].view("<f4")[0]
    return ((codes.astype(np.float32) - 1) * scale).reshape(shape)


# ---------------------------------------------------------------- against the package, and against a checkpoint


def agree_with_package(path, file):
    if any(t.kind == I2_S for t in file.tensors.values()):
        print("gguf.GGUFReader was not asked: it does not know I2_S")
        return
    reader = gguf.GGUFReader(path)
    theirs = {t.name: (tuple(int(n) for n in reversed(t.shape)), int(t.tensor_type), t.data_offset)
              for t in reader.tensors}
    assert theirs == {name: (t.shape, t.kind, t.offset) for name, t in file.tensors.items()}
    for key, value in file.metadata.items():
        if not (isinstance(value, list) and value == []):
            assert np.array_equal(reader.fields[key].contents(), value), key
    print("gguf.GGUFReader agrees")


def permuted(rows, heads):
    """Llama's q and k rows as the arch `llama` stores them: the two halves of each head interleaved."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def expected_tensors(config, tensors, arch):
    """{name in GGUF: (values in float64, scale or None)}."""
    s = Shape.of(config)
    dense = lambda name: (tensors[f"{name}.weight"].double().numpy(), None)
    expected = {"token_embd": dense("model.embed_tokens"), "output_norm": dense("model.norm")}
    if not s.tied:
        expected["output"] = dense("lm_head")
    norms = [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"),
             ("attn_sub_norm", s.family.attention_sub_norm), ("ffn_sub_norm", s.family.mlp_sub_norm)]
    for i in range(s.layers):
        p = f"model.layers.{i}."
        expected |= {f"blk.{i}.{ours}": dense(p + theirs) for ours, theirs in norms if theirs}
        for ours, theirs in zip(PARTS, PROJECTIONS):
            codes, beta = ternary(s, tensors, p + theirs)
            if arch == "llama" and ours in ("attn_q", "attn_k"):
                codes = permuted(codes, s.heads if ours == "attn_q" else s.kv_heads)
            expected[f"blk.{i}.{ours}"] = (codes, beta)
    return {f"{name}.weight": value for name, value in expected.items()}


def difference(values, expected, scale, kind):
    """What is wrong with a decoded tensor, or None."""
    if values.shape != expected.shape:
        return f"is {values.shape}, not {expected.shape}"
    if scale is None:
        held = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}.get(kind)
        if held is None:  # a quantised embedding
            error = np.sqrt(np.mean((values - expected) ** 2) / np.mean(expected**2))
            return None if error < 0.03 else f"differs by {error:.1e} of its rms"
        return None if np.array_equal(values, torch.from_numpy(expected).to(held).float().numpy()) else "differs"
    wrong = np.count_nonzero(np.sign(values) != expected)
    if wrong:
        return f"has {wrong} of {expected.size} codes wrong"
    # One scale in f32, or one per block in f16; 1 / weight_scale and a mean may be rounded another way, by one unit.
    held = np.float16 if kind.startswith("TQ") else np.float32
    unit = 0.0 if scale == float(held(scale)) else float(np.spacing(held(scale)))
    worst = np.abs(np.abs(values[expected != 0]).astype(np.float64) - scale).max(initial=0.0)
    return None if worst <= unit else f"has a scale {worst:.1e} away from {scale}"


def compare(file, folder):
    """The number of tensors that differ."""
    config = json.loads((folder / "config.json").read_text())
    expected = expected_tensors(config, load_checkpoint(folder), file.metadata["general.architecture"])
    wrong = {name: "is missing" for name in expected.keys() - file.tensors.keys()}
    wrong |= {name: "is not in the checkpoint" for name in file.tensors.keys() - expected.keys()}
    for name in expected.keys() & file.tensors.keys():
        tensor = file.tensors[name]
        reason = difference(file.decode(tensor), *expected[name], tensor.kind_name())
        if reason:
            wrong[name] = reason
    for name, reason in sorted(wrong.items()):
        print(f"{name} {reason}")
    ternaries = sum(scale is not None for _, scale in expected.values())
    print(f"{len(expected)} tensors, {ternaries} of them ternary; {len(wrong)} differ")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    file = File(arguments.file)
    print(f"version {file.version}, {len(file.data)} bytes")
    for key, value in file.metadata.items():
        text = repr(value)
        print(f"{key} = {text if len(text) < 100 else text[:90] + '...'}"
              + (f" ({len(value)})" if isinstance(value, list) else ""))
    for name, t in file.tensors.items():
        print(f"{t.offset:12d} {t.kind_name():6s} {str(list(t.shape)):18s} {name}")
    agree_with_package(arguments.file, file)
    sys.exit(bool(arguments.folder and compare(file, arguments.folder)))


if __name__ == "__main__":
    main()
