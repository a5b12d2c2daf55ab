"""The independent evaluator: a BitNet forward pass in numpy, one token at a time."""

import numpy as np
import torch
from safetensors.torch import load_file

from families import PROJECTIONS, Shape


def load_checkpoint(folder):
    return {name: tensor for file in sorted(folder.glob("model*.safetensors"))
            for name, tensor in load_file(file).items()}


def ternary(shape, tensors, name):
    """(codes, beta) of one projection: packed row r, bits 2i hold row r + i * rows/4; masters by absmean."""
    w = tensors[f"{name}.weight"]
    if shape.scales is None:
        w = w.double().numpy()
        beta = max(np.abs(w).mean(), 1e-5)
        return np.clip(np.rint(w / beta), -1, 1), beta
    assert w.dtype == torch.uint8
    codes = np.concatenate([((w.numpy() >> (2 * i)) & 3).astype(np.int8) - 1 for i in range(4)])
    scale = float(tensors[f"{name}.weight_scale"][0])
    return codes.astype(np.float64), scale if shape.scales == "multiply" else 1.0 / scale


class Reference:
    """Forward pass in `dtype`, with exact integer dot products; `f16_kv` rounds what enters the cache.

    After each step, `seen` holds every intermediate vector by the name of its step, in forward order, `entropy` the
    entropy of each attention row [layers, heads] in bits, and `margin` how near the step came to a rounding
    boundary: `code` in int8 codes, `f16` in half-precision ulps.  `scaled` and `margins` keep, for all steps, what
    was rounded to int8 and the margins.
    """

    def __init__(self, config, tensors, dtype=np.float64, f16_kv=False):
        s = self.shape = Shape.of(config)
        self.dtype, self.f16_kv = dtype, f16_kv
        cast = lambda name: tensors[name].double().numpy().astype(dtype)
        self.embed, self.final_norm = cast("model.embed_tokens.weight"), cast("model.norm.weight")
        self.head = self.embed if s.tied else cast("lm_head.weight")
        self.layers = [
            {n: ternary(s, tensors, f"model.layers.{i}.{n}") for n in PROJECTIONS}
            | {n: cast(f"model.layers.{i}.{n}.weight") for n, _ in s.norms()} for i in range(s.layers)]
        self.inv_freq = (1.0 / s.theta ** (np.arange(0, s.head_dim, 2) / s.head_dim)).astype(dtype)
        self.cache, self.scaled, self.margins = [([], []) for _ in self.layers], [], []

    def see(self, name, x):
        self.seen[name] = x
        return x

    def norm(self, x, w):
        return w * (x / np.sqrt((x * x).mean(dtype=self.dtype) + self.dtype(self.shape.eps)))

    def linear(self, x, *weights):
        """int8-quantise `x` once, then every projection: (sum q*T) * beta / s."""
        s = self.dtype(127) / np.maximum(np.abs(x).max(), self.dtype(1e-5))
        scaled = x * s
        q = np.clip(np.rint(scaled), -128, 127)
        self.margin["code"] = min(self.margin["code"], 0.5 - np.abs(scaled - q).max())
        self.scaled[-1].append(scaled)
        return [(codes @ q.astype(np.float64)).astype(self.dtype) * (self.dtype(beta) / s) for codes, beta in weights]

    def rope(self, x, pos):
        angle = self.dtype(pos) * self.inv_freq
        cos, sin = np.cos(angle), np.sin(angle)
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def to_cache(self, x):
        half = x.astype(np.float16)
        ulp = np.spacing(np.abs(half)).astype(np.float64)
        self.margin["f16"] = min(self.margin["f16"], (0.5 - np.abs(x - half.astype(np.float64)) / ulp).min())
        return half.astype(self.dtype) if self.f16_kv else x

    def attention(self, layer, h):
        s, w, see = self.shape, self.layers[layer], lambda name, x: self.see(f"{layer}.{name}", x)
        n = see("input_norm", self.norm(h, w["input_layernorm"]))
        projected = self.linear(n, *(w[f"self_attn.{p}_proj"] for p in "qkv"))
        q, k, v = (see(p, x).reshape(-1, s.head_dim) for p, x in zip("qkv", projected))
        cache, pos = self.cache[layer], len(self.cache[layer][0])
        cache[0].append(self.to_cache(self.rope(k, pos)))
        cache[1].append(self.to_cache(v))
        group = s.heads // s.kv_heads
        keys, values = (np.repeat(np.stack(x), group, axis=1) for x in cache)  # [pos + 1, query heads, head_dim]
        scores = np.einsum("hd,thd->ht", self.rope(q, pos), keys) / self.dtype(np.sqrt(s.head_dim))
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        self.entropy.append(entropy_bits(probs))
        out = see("attention", np.einsum("ht,thd->hd", probs, values).reshape(-1))
        if s.family.attention_sub_norm:
            out = see("attention_sub_norm", self.norm(out, w[s.family.attention_sub_norm]))
        return see("o", self.linear(out, w["self_attn.o_proj"])[0])

    def mlp(self, layer, h):
        s, w, see = self.shape, self.layers[layer], lambda name, x: self.see(f"{layer}.{name}", x)
        n = see("post_attention_norm", self.norm(h, w["post_attention_layernorm"]))
        projected = self.linear(n, w["mlp.gate_proj"], w["mlp.up_proj"])
        g, u = (see(name, x) for name, x in zip(("gate", "up"), projected))
        act = np.maximum(g, 0) ** 2 if s.act == "relu2" else g / (1 + np.exp(-g))
        out = see("activation", act * u)
        if s.family.mlp_sub_norm:
            out = see("mlp_sub_norm", self.norm(out, w[s.family.mlp_sub_norm]))
        return see("down", self.linear(out, w["mlp.down_proj"])[0])

    def step(self, token):
        """Append one token; returns its logits [V]."""
        self.margin, self.seen, self.entropy = {"code": np.inf, "f16": np.inf}, {}, []
        self.margins.append(self.margin), self.scaled.append([])
        h = self.see("embedding", self.embed[token])
        for i in range(self.shape.layers):
            h = self.see(f"{i}.attention_residual", h + self.attention(i, h))
            h = self.see(f"{i}.output", h + self.mlp(i, h))
        return self.see("logits", self.head @ self.see("final_norm", self.norm(h, self.final_norm)))

    def undo(self, steps=1):
        for _ in range(steps):
            self.margins.pop(), self.scaled.pop()
            for keys, values in self.cache:
                keys.pop(), values.pop()

    def run(self, tokens):
        """The steps [T, width] by name, in forward order, and `entropy` [L, Hq, T]."""
        every, entropies = [], []
        for token in tokens:
            self.step(token)
            every.append(self.seen)
            entropies.append(np.stack(self.entropy))
        steps = {name: np.stack([seen[name] for seen in every]) for name in every[0]}
        return steps, np.stack(entropies, axis=-1)


def entropy_bits(p):
    p = np.asarray(p, dtype=np.float64)
    return 0.0 - (p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1)
