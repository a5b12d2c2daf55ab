"""Make three tiny random BitNet b1.58 checkpoints and their golden forward passes.

    requirements: torch==2.9.1 transformers==5.23.0 accelerate==1.15.0 safetensors==0.8.0 numpy==2.4.6
    made with:    Python 3.11, CPU, one thread;  run: python make_goldens.py  (writes beside itself)

packed-2b-style     golden by transformers, float32: BitNetForCausalLM.from_pretrained reads the U8 files
                    through the checkpoint's own quantization_config (AutoBitLinear, offline).
master-2b-style     golden by transformers, float32: same class, bf16 masters, AutoBitLinear, online.
master-1bitllm-style  golden by `Reference` below in float64: no maintained package reads this checkpoint.  It
                    is the code that is checked against transformers on the first two, with the published
                    differences: SiLU, the norm names, theta 10000 (1bitLLM/bitnet_b1_58-large modelling and
                    utils_quant sources; absmean ternary weights, per-token int8 activations).  Also checked
                    against transformers' BitNet class with hidden_act silu and the norms renamed.

golden.safetensors (T tokens, L layers, Hq query heads, V vocabulary, D hidden):
    tokens         I64 [T]
    hidden.0       F32 [T, D]      embeddings; hidden.i = output of layer i-1, before the final norm
    logits         F32 [T, V]
    entropy        F32 [L, Hq, T]  bits, of each attention row
    logits.f16_kv, entropy.f16_kv  the same from `Reference` (float64) with the keys (after RoPE) and the values
                                   rounded to f16 before attention, also for the current token

A rounding boundary that two orders of float32 summation cross differently would make an int8 code differ by one
and the comparison meaningless.  So tokens are drawn one at a time, and a token is kept only if every int8 code
and every f16 key or value it causes lies at least MARGIN_CODE codes / MARGIN_F16 ulps from a boundary, with and
without the f16 cache.  Master weights keep MARGIN_WEIGHT from the ternary boundary for the same reason.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # the quantisers are torch.compile'd; eager needs no C++ compiler
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import BitNetForCausalLM
from transformers.integrations.bitnet import AutoBitLinear, pack_weights

HERE = Path(__file__).resolve().parent
T = 48
MARGIN_CODE = 3e-4
MARGIN_F16 = 4e-3
MARGIN_WEIGHT = 2e-3
PROJECTIONS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
NORMS_2B = {"attn": "self_attn.attn_sub_norm", "ffn": "mlp.ffn_sub_norm"}
NORMS_1BITLLM = {"attn": "self_attn.inner_attn_ln", "ffn": "mlp.ffn_layernorm"}

# ---------------------------------------------------------------- configurations


def config_2b(hidden, intermediate, heads, mode, rope):
    return {
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 160,
        "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": 2,
        "num_attention_heads": heads, "num_key_value_heads": 2, "hidden_act": "relu2",
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, **rope, "tie_word_embeddings": True,
        "initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 1, "use_cache": True,
        "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear",
                                "quantization_mode": mode},
    }


def config_1bitllm():
    return {
        "architectures": ["BitnetForCausalLM"], "model_type": "llama", "vocab_size": 160,
        "hidden_size": 64, "intermediate_size": 76, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "hidden_act": "silu",
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None,
        "tie_word_embeddings": True, "attention_bias": False, "initializer_range": 0.02, "bos_token_id": 0,
        "eos_token_id": 1, "pad_token_id": None, "torch_dtype": "float32", "use_cache": True,
        "weight_bits": 1, "input_bits": 8,
    }


def rope_theta(config):
    return config.get("rope_theta") or config["rope_parameters"]["rope_theta"]


# ---------------------------------------------------------------- random checkpoints


def projection_shapes(c):
    d, i, hd = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // c["num_attention_heads"]
    kv = c["num_key_value_heads"] * hd
    return dict(zip(PROJECTIONS, [(d, d), (kv, d), (kv, d), (d, d), (i, d), (i, d), (d, i)]))


def random_norm(rng, n, mean=1.0):
    """Around `mean`, with the negative, tiny and dead entries that the released 2B-4T norms have."""
    w = mean * (1.0 + 0.25 * rng.standard_normal(n))
    where = rng.permutation(n)[:5]
    w[where] = [-0.75 * mean, -1.25 * mean, 1e-3, -7.9e-8, 1e-32]
    return w


def random_master(rng, shape, dtype):
    """Gaussian masters, resampled near the ternary decision boundary |W| = mean|W| / 2."""
    draw = lambda n: torch.from_numpy(rng.standard_normal(n) * rng.uniform(0.15, 0.3)).to(dtype)
    w = draw(shape)
    while True:
        ratio = w.double().abs() / w.double().abs().mean()
        close = (ratio - 0.5).abs() < MARGIN_WEIGHT
        if not close.any():
            return w
        w[close] = draw(int(close.sum()))


def make_checkpoint(rng, config, norm_names, dtype, packed):
    d, i = config["hidden_size"], config["intermediate_size"]
    put = lambda x: torch.from_numpy(np.asarray(x)).to(dtype).contiguous()
    tensors = {"model.embed_tokens.weight": put(rng.standard_normal((config["vocab_size"], d))),
               "model.norm.weight": put(random_norm(rng, d, 0.3))}
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        for name, n in [("input_layernorm", d), ("post_attention_layernorm", d),
                        (norm_names["attn"], d), (norm_names["ffn"], i)]:
            tensors[f"{p}{name}.weight"] = put(random_norm(rng, n))
        for name, shape in projection_shapes(config).items():
            if packed:
                codes = rng.choice([-1, 0, 1], size=shape, p=[0.29, 0.42, 0.29]).astype(np.int8)
                tensors[f"{p}{name}.weight"] = pack_weights(torch.from_numpy(codes))
                tensors[f"{p}{name}.weight_scale"] = put([rng.uniform(0.1, 0.25)])
            else:
                tensors[f"{p}{name}.weight"] = random_master(rng, shape, dtype)
    return tensors


# ---------------------------------------------------------------- the independent evaluator


def ternary(tensors, name):
    """(codes, beta) of one projection: packed row r, bits 2i hold row r + i * rows/4; masters by absmean."""
    w = tensors[f"{name}.weight"]
    if w.dtype == torch.uint8:
        p = w.numpy()
        codes = np.concatenate([((p >> (2 * i)) & 3).astype(np.int8) - 1 for i in range(4)])
        return codes.astype(np.float64), float(tensors[f"{name}.weight_scale"][0])
    w = w.double().numpy()
    beta = max(np.abs(w).mean(), 1e-5)
    return np.clip(np.rint(w / beta), -1, 1), beta


class Reference:
    """Token-by-token forward pass in `dtype`, with exact integer dot products.

    `f16_kv` rounds what enters the cache.  `margin` holds how near the last step came to a rounding boundary:
    `code` in int8 codes, `f16` in half-precision ulps.  `codes` records every int8 code produced.
    """

    def __init__(self, config, tensors, norm_names, dtype=np.float64, f16_kv=False):
        c = self.c = config
        self.dtype, self.f16_kv = dtype, f16_kv
        cast = lambda name: tensors[name].double().numpy().astype(dtype)
        self.embed, self.final_norm = cast("model.embed_tokens.weight"), cast("model.norm.weight")
        self.layers = []
        for i in range(c["num_hidden_layers"]):
            p = f"model.layers.{i}."
            layer = {n: ternary(tensors, p + n) for n in PROJECTIONS}
            for key, name in [("in", "input_layernorm"), ("post", "post_attention_layernorm"), *norm_names.items()]:
                layer[key] = cast(f"{p}{name}.weight")
            self.layers.append(layer)
        self.head_dim = c["hidden_size"] // c["num_attention_heads"]
        half = np.arange(0, self.head_dim, 2) / self.head_dim
        self.inv_freq = (1.0 / rope_theta(c) ** half).astype(dtype)
        self.cache, self.codes = [([], []) for _ in self.layers], []

    def norm(self, x, w):
        return w * (x / np.sqrt((x * x).mean(dtype=self.dtype) + self.dtype(self.c["rms_norm_eps"])))

    def linear(self, x, *weights):
        """int8-quantise `x` once, then every projection: (sum q*T) * beta / s."""
        s = self.dtype(127) / np.maximum(np.abs(x).max(), self.dtype(1e-5))
        scaled = x * s
        q = np.clip(np.rint(scaled), -128, 127)
        self.margin["code"] = min(self.margin["code"], 0.5 - np.abs(scaled - q).max())
        self.codes[-1].append(q.astype(np.int8))
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

    def attention(self, layer, cache, n):
        c, hd, w = self.c, self.head_dim, self.layers[layer]
        q, k, v = self.linear(n, *(w[f"self_attn.{p}_proj"] for p in "qkv"))
        pos = len(cache[0])
        cache[0].append(self.to_cache(self.rope(k.reshape(-1, hd), pos)))
        cache[1].append(self.to_cache(v.reshape(-1, hd)))
        group = c["num_attention_heads"] // c["num_key_value_heads"]
        keys, values = (np.repeat(np.stack(x), group, axis=1) for x in cache)  # [pos + 1, query heads, head_dim]
        scores = np.einsum("hd,thd->ht", self.rope(q.reshape(-1, hd), pos), keys) / self.dtype(np.sqrt(hd))
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        out = np.einsum("ht,thd->hd", probs, values).reshape(-1)
        return self.linear(self.norm(out, w["attn"]), w["self_attn.o_proj"])[0], entropy_bits(probs)

    def mlp(self, layer, n):
        w = self.layers[layer]
        g, u = self.linear(n, w["mlp.gate_proj"], w["mlp.up_proj"])
        act = np.maximum(g, 0) ** 2 if self.c["hidden_act"] == "relu2" else g / (1 + np.exp(-g))
        return self.linear(self.norm(act * u, w["ffn"]), w["mlp.down_proj"])[0]

    def step(self, token):
        """Append one token; returns logits [V], hidden [L + 1, D], entropy [L, Hq]."""
        self.margin = {"code": np.inf, "f16": np.inf}
        self.codes.append([])
        h, entropies = self.embed[token], []
        hidden = [h]
        for i, w in enumerate(self.layers):
            a, ent = self.attention(i, self.cache[i], self.norm(h, w["in"]))
            h = h + a
            h = h + self.mlp(i, self.norm(h, w["post"]))
            hidden.append(h)
            entropies.append(ent)
        return self.embed @ self.norm(h, self.final_norm), np.stack(hidden), np.stack(entropies)

    def undo(self):
        self.codes.pop()
        for keys, values in self.cache:
            keys.pop(), values.pop()

    def run(self, tokens):
        steps = [self.step(t) for t in tokens]
        return {"logits": np.stack([s[0] for s in steps]), "hidden": np.stack([s[1] for s in steps], axis=1),
                "entropy": np.stack([s[2] for s in steps], axis=-1)}

    def code_list(self):
        return np.concatenate([q for step in self.codes for q in step]).astype(int)


def entropy_bits(p):
    p = np.asarray(p, dtype=np.float64)
    return 0.0 - (p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1)


def choose_tokens(rng, make):
    """Draw T tokens that keep the margins; returns them and the smallest margins met."""
    exact, cached = make(), make(f16_kv=True)
    tokens, least = [], {"code": np.inf, "f16": np.inf}
    for _ in range(T):
        for token in rng.permutation(exact.c["vocab_size"]):
            exact.step(token), cached.step(token)
            code = min(exact.margin["code"], cached.margin["code"])
            if code > MARGIN_CODE and cached.margin["f16"] > MARGIN_F16:
                break
            exact.undo(), cached.undo()
        else:
            raise SystemExit(f"no token keeps the margins at position {len(tokens)}: change the seed")
        tokens.append(int(token))
        least = {"code": min(least["code"], code), "f16": min(least["f16"], cached.margin["f16"])}
    return tokens, least


# ---------------------------------------------------------------- transformers


def run_transformers(folder, config, tokens):
    """Forward pass by transformers' own classes, float32, eager attention, hooks for what it does not return."""
    model = BitNetForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    # A quantised checkpoint keeps its bf16 tensors whatever `dtype` asks for, and the class refuses .float();
    # this upcast is exact: every stored value, code and scale is representable.
    torch.nn.Module.float(model)
    linears = [m for m in model.modules() if isinstance(m, AutoBitLinear)]
    online = config["quantization_config"]["quantization_mode"] == "online"
    assert len(linears) == len(PROJECTIONS) * config["num_hidden_layers"]
    assert all(m.online_quant == online and m.weight.dtype == torch.float32 for m in linears)
    assert model.config.rope_parameters["rope_theta"] == rope_theta(config)
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    inv_freq = rope_theta(config) ** -(torch.arange(0, head_dim, 2) / head_dim)
    torch.testing.assert_close(model.model.rotary_emb.inv_freq, inv_freq, rtol=1e-6, atol=0)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    hidden, rows = [], []
    first = lambda out: out[0] if isinstance(out, tuple) else out
    model.model.embed_tokens.register_forward_hook(lambda m, i, out: hidden.append(out[0].numpy()))
    for layer in model.model.layers:
        layer.register_forward_hook(lambda m, i, out: hidden.append(first(out).reshape(len(tokens), -1).numpy()))
        layer.self_attn.register_forward_hook(lambda m, i, out: rows.append(out[1][0].numpy()))
    with torch.no_grad():
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()
    return {"logits": logits, "hidden": np.stack(hidden), "entropy": np.stack([entropy_bits(r) for r in rows])}


def run_transformers_renamed(config, tensors, tokens):
    """The 1bitLLM graph through transformers: BitNet with SiLU, norms renamed, ternarised online."""
    config = {**config, "architectures": ["BitNetForCausalLM"], "model_type": "bitnet",
              "quantization_config": config_2b(64, 76, 2, "online", {})["quantization_config"]}
    renamed = {}
    for name, tensor in tensors.items():
        for key, theirs in NORMS_1BITLLM.items():
            name = name.replace(theirs, NORMS_2B[key])
        renamed[name] = tensor
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        save_file(renamed, Path(folder, "model.safetensors"), {"format": "pt"})
        return run_transformers(folder, config, tokens)


# ---------------------------------------------------------------- putting it together


def difference(a, b):
    return {k: float(np.abs(a[k] - b[k]).max()) for k in ("logits", "hidden", "entropy")}


def report(label, d):
    print(f"  {label:44s} logits {d['logits']:.2e}  hidden {d['hidden']:.2e}  entropy {d['entropy']:.2e} bit")


def make_case(name, seed, config, norm_names, dtype, packed=False):
    rng = np.random.default_rng(seed)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(make_checkpoint(rng, config, norm_names, dtype, packed), folder / "model.safetensors", {"format": "pt"})
    tensors = load_file(folder / "model.safetensors")
    make = lambda **kw: Reference(config, tensors, norm_names, **kw)
    tokens, least = choose_tokens(rng, make)
    runs = {k: make(**kw) for k, kw in {"f64": {}, "f32": {"dtype": np.float32}, "f64_kv16": {"f16_kv": True},
                                        "f32_kv16": {"dtype": np.float32, "f16_kv": True}}.items()}
    out = {k: r.run(tokens) for k, r in runs.items()}
    print(f"{name}: seed {seed}; max |logit| {np.abs(out['f64']['logits']).max():.2f}, "
          f"max |hidden| {np.abs(out['f64']['hidden']).max():.1f}; smallest margins: {least['code']:.1e} codes, "
          f"{least['f16']:.1e} f16 ulp; entropy {out['f64']['entropy'].min():.3f}..{out['f64']['entropy'].max():.3f}")
    is_2b = norm_names is NORMS_2B
    theirs = run_transformers(folder, config, tokens) if is_2b else run_transformers_renamed(config, tensors, tokens)
    d = difference(theirs, out["f64"])
    report("transformers f32 - reference f64", d)
    assert max(d.values()) < 5e-5, d
    for a, b in [("f32", "f64"), ("f32_kv16", "f64_kv16"), ("f64_kv16", "f64")]:
        report(f"reference {a} - {b}", difference(out[a], out[b]))
        step = np.abs(runs[a].code_list() - runs[b].code_list())
        print(f"  {'':44s} int8 codes that differ: {np.count_nonzero(step)} of {step.size}, by {step.max()} at most")
        assert not a.startswith("f32") or not step.any(), (a, b)  # float32 against float64: same rounding
    rms = lambda x: float(np.sqrt(np.mean(x * x)))
    a, b = out["f64_kv16"]["logits"], out["f64"]["logits"]
    print(f"  f16 cache, logits: rms error {rms(a - b):.2e} of rms {rms(b):.2f}; "
          f"same top token at {np.count_nonzero(a.argmax(1) == b.argmax(1))} of {T} positions")
    save_golden(folder, tokens, theirs if is_2b else out["f64"], out["f64_kv16"])


def save_golden(folder, tokens, golden, cached):
    f32 = lambda x: torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    data = {"tokens": torch.tensor(tokens, dtype=torch.int64), "logits": f32(golden["logits"]),
            "entropy": f32(golden["entropy"]), "logits.f16_kv": f32(cached["logits"]),
            "entropy.f16_kv": f32(cached["entropy"])}
    data |= {f"hidden.{i}": f32(h) for i, h in enumerate(golden["hidden"])}
    save_file(data, folder / "golden.safetensors")
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files private
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"  {size} bytes")
    assert size < 400_000, size


def main():
    torch.set_num_threads(1)
    bf16 = torch.bfloat16
    make_case("packed-2b-style", 20250414, config_2b(128, 192, 8, "offline", {"rope_theta": 500000.0}),
              NORMS_2B, bf16, packed=True)
    # Smaller than the packed one to stay small on disk; RoPE in the spelling that transformers 5 writes, with a
    # theta that is not the class default, so that a reader which misses it fails.
    make_case("master-2b-style", 20250415,
              config_2b(96, 116, 6, "online", {"rope_parameters": {"rope_theta": 250000.0, "rope_type": "default"}}),
              NORMS_2B, bf16)
    make_case("master-1bitllm-style", 20240329, config_1bitllm(), NORMS_1BITLLM, torch.float32)


if __name__ == "__main__":
    main()
