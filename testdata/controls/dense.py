"""Control models: their random tensors, how they are stored, and `Control`, a forward pass in numpy."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).resolve().parent.parent / "golden"))

from families import FAMILIES, LLAMA_DEFAULTS, PROJECTIONS, Family, Shape
from random_models import random_norm, random_packed
from reference import Reference, entropy_bits, ternary

# The defaults that the configs of these fixtures use are the same as Llama's.
FAMILIES |= {name: Family(None, None, LLAMA_DEFAULTS) for name in ("Qwen2ForCausalLM", "Qwen3ForCausalLM")}
HEAD_NORMS = ["self_attn.q_norm", "self_attn.k_norm"]


# ---------------------------------------------------------------- what a config.json means


def biased(config):
    """The projections that have a bias."""
    attention, mlp = PROJECTIONS[:4], PROJECTIONS[4:]
    if config["architectures"] == ["Qwen2ForCausalLM"]:
        return attention[:3]
    return (attention if config.get("attention_bias") else []) + (mlp if config.get("mlp_bias") else [])


def head_norms(config):
    """The norms of each query head and each key head, before RoPE."""
    return HEAD_NORMS if config["architectures"] == ["Qwen3ForCausalLM"] else []


def is_ternary(config, name):
    quantization = config.get("quantization_config")
    return quantization is not None and name not in quantization["modules_to_not_convert"]


def rope_divisors(config):
    """What RoPE scaling divides each frequency by."""
    shape, rope = Shape.of(config), config.get("rope_parameters") or config.get("rope_scaling") or {}
    frequencies = base_frequencies(shape)
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return np.ones_like(frequencies)
    if kind == "linear":
        return np.full_like(frequencies, rope["factor"])
    assert kind == "llama3"
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)  # in the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0, 1)  # 0: all of the factor; 1: nothing
    return 1 / ((1 - smooth) / rope["factor"] + smooth)


def base_frequencies(shape):
    return 1.0 / shape.theta ** (np.arange(0, shape.head_dim, 2) / shape.head_dim)


# ---------------------------------------------------------------- random tensors


def random_tensors(rng, config, dtype, embedding=1.0, final_norm=0.3):
    """Every tensor of a checkpoint, in the order in which they are stored.

    embedding, final_norm  their scale.  A small embedding makes rms_norm_eps count.
    """
    shape = Shape.of(config)
    put = lambda x: torch.from_numpy(np.asarray(x)).to(dtype).contiguous()
    tensors = {"model.embed_tokens.weight": put(embedding * rng.standard_normal((shape.vocab, shape.hidden)))}
    for layer in range(shape.layers):
        p = f"model.layers.{layer}."
        for name, width in shape.norms():
            tensors[f"{p}{name}.weight"] = put(random_norm(rng, width))
        for name in head_norms(config):
            # Far from 1, and not the same for the two halves of a head, which RoPE pairs.
            tensors[f"{p}{name}.weight"] = put(rng.uniform(0.4, 2.2, shape.head_dim))
        for name, (rows, columns) in shape.projections().items():
            if is_ternary(config, p + name):
                tensors[f"{p}{name}.weight"] = random_packed(rng, (rows, columns))
                tensors[f"{p}{name}.weight_scale"] = put([rng.uniform(0.1, 0.25)])
            else:
                gain = rng.uniform(1.0, 1.6)
                if head_norms(config) and name in PROJECTIONS[:2]:
                    gain *= 0.02  # the norm undoes it, but then its epsilon counts
                tensors[f"{p}{name}.weight"] = put(rng.standard_normal((rows, columns)) * gain / np.sqrt(columns))
            if name in biased(config):
                tensors[f"{p}{name}.bias"] = put(0.5 * rng.standard_normal(rows))
    # Weights of either sign: without, a tied model mostly repeats its last token.
    signs = rng.choice([-1.0, 1.0], size=shape.hidden)
    tensors["model.norm.weight"] = put(random_norm(rng, shape.hidden, final_norm) * signs)
    if not shape.tied:
        tensors["lm_head.weight"] = put(rng.standard_normal((shape.vocab, shape.hidden)))
    return tensors


def save_checkpoint(folder, config, tensors, shards=1):
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        # Dealt out in turn: a reader must not expect a layer, or a weight and its bias, in one file.
        part = {name: tensors[name] for name in list(tensors)[i::shards]}
        save_file(part, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


# ---------------------------------------------------------------- the forward pass


class Control(Reference):
    """`Reference` with dense projections, biases, norms of heads and scaled RoPE.  Ternary projections stay as they
    are there: only they round their input to int8."""

    def __init__(self, config, tensors, dtype=np.float64):
        s = self.shape = Shape.of(config)
        self.dtype, self.f16_kv, self.head_norms = dtype, False, head_norms(config)
        cast = lambda name: tensors[name].double().numpy().astype(dtype)
        self.embed, self.final_norm = cast("model.embed_tokens.weight"), cast("model.norm.weight")
        self.head = self.embed if s.tied else cast("lm_head.weight")

        def projection(name):
            if is_ternary(config, name):
                return ternary(s, tensors, name)
            weight = cast(f"{name}.weight")
            bias = f"{name}.bias"
            return weight, cast(bias) if bias in tensors else np.zeros(len(weight), dtype)

        self.layers = []
        for i in range(s.layers):
            p = f"model.layers.{i}."
            norms = [name for name, _ in s.norms()] + self.head_norms
            self.layers.append({n: projection(p + n) for n in PROJECTIONS})
            self.layers[i] |= {n: cast(f"{p}{n}.weight") for n in norms}
        self.inv_freq = (base_frequencies(s) / rope_divisors(config)).astype(dtype)
        self.cache, self.scaled, self.margins = [([], []) for _ in self.layers], [], []

    def linear(self, x, *weights):
        is_dense = lambda second: isinstance(second, np.ndarray)  # a bias; a ternary projection has its scale there
        return [w @ x + second if is_dense(second) else super(Control, self).linear(x, (w, second))[0]
                for w, second in weights]

    def attention(self, layer, h):
        s, w, see = self.shape, self.layers[layer], lambda name, x: self.see(f"{layer}.{name}", x)
        n = see("input_norm", self.norm(h, w["input_layernorm"]))
        projected = self.linear(n, *(w[f"self_attn.{p}_proj"] for p in "qkv"))
        q, k, v = (see(p, x).reshape(-1, s.head_dim) for p, x in zip("qkv", projected))
        if self.head_norms:
            q, k = (np.stack([self.norm(head, w[name]) for head in x]) for x, name in zip((q, k), HEAD_NORMS))
        cache, pos = self.cache[layer], len(self.cache[layer][0])
        cache[0].append(self.rope(k, pos))
        cache[1].append(v)
        keys, values = (np.repeat(np.stack(x), s.heads // s.kv_heads, axis=1) for x in cache)
        scores = np.einsum("hd,thd->ht", self.rope(q, pos), keys) / self.dtype(np.sqrt(s.head_dim))
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        self.entropy.append(entropy_bits(probs))
        out = see("attention", np.einsum("ht,thd->hd", probs, values).reshape(-1))
        return see("o", self.linear(out, w["self_attn.o_proj"])[0])
