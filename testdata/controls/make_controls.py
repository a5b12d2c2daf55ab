"""Make tiny random control models and their golden forward passes: every folder beside this file.

    requirements: torch==2.9.1 transformers==5.23.0 accelerate==1.15.0 safetensors==0.8.0 numpy==2.4.6 gguf==0.19.0
    made with:    Python 3.11.7 on x86-64, CPU, one thread
    run:          python make_controls.py [name...]  (writes beside itself, in a few seconds)

dense.py       their random tensors, and `Control`: a forward pass in numpy
gguf_files.py  those stored as GGUF
../golden      what is common with the BitNet fixtures: the search for tokens, the hooks, the checks

Controls are full-precision models: nothing is ternary and no activation is rounded.  One fixture is mixed: most of
its layers are ternary and round their input to int8, those that its config excludes do neither.

A fixture has a checkpoint, `config.json` with `model*.safetensors` or `model.gguf`, and `golden.safetensors`, whose
tensors `../golden/make_goldens.py` describes.  i.q, i.k and i.v have their bias; they come before the norms of heads
and before RoPE.  No tensor is for an f16 cache.

The golden values are transformers', in float32, with eager attention.  For a GGUF file they are those of the float32
values that the package `gguf` reads from the file.  `Control`, in float64, checks them.  Where transformers has a
reader of its own for the file, that one gives the same logits.

Tokens are drawn one at a time and then continued greedily, as for BitNet: each token of the continuation leads by
MARGIN_TOP of the rms of the logits (../golden/token_search.py).  In the mixed model, no int8 code is near a boundary.
"""

import copy
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True  # nothing but fixtures beside this file
HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "golden"))

from make_goldens import (  # first, because it sets what torch and transformers read when they are imported
    compare_codes, compare_transformers, hidden, report, report_margins, row_norms)

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers.integrations.bitnet import AutoBitLinear

import gguf_files
from dense import (PROJECTIONS, Control, Shape, base_frequencies, biased, head_norms, is_ternary, random_tensors,
                   rope_divisors, save_checkpoint)
from reference import load_checkpoint
from token_search import Search
from with_transformers import Transformers

LARGEST_TOTAL = 1_000_000  # bytes, of the whole folder


# ---------------------------------------------------------------- the fixtures


@dataclass(frozen=True)
class Case:
    """`positions` tokens; a greedy continuation with at least `distinct` different ones; `stored`: options of
    `random_tensors`; `kinds`: the codings of a GGUF file."""

    name: str
    seed: int
    config: dict
    dtype: torch.dtype = torch.bfloat16
    positions: int = 24
    distinct: int = 6
    shards: int = 1
    stored: dict = field(default_factory=dict)
    kinds: dict = field(default_factory=dict)


def config_of(architecture, hidden, inner, layers, heads, kv_heads, vocab, **other):
    return {
        "architectures": [f"{architecture}ForCausalLM"], "model_type": architecture.lower(), "vocab_size": vocab,
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "hidden_act": "silu", "max_position_embeddings": 256, "bos_token_id": 0,
        "eos_token_id": 1, "initializer_range": 0.02, "use_cache": True,
    } | other


VOCAB = 72  # small, but not the size of anything else
ALL_BIASES = {"attention_bias": True, "mlp_bias": True}
LINEAR = {"rope_theta": 10000.0, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}

# With heads 24 or 32 wide, the first frequency stays, some are between, and the slow ones are divided by 8.
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}

# A window that would matter, but is not in use.
QWEN2 = {"attention_dropout": 0.0, "max_window_layers": 1, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
         "sliding_window": 8, "tie_word_embeddings": True, "use_mrope": False, "use_sliding_window": False}

QWEN3 = {"attention_bias": False, "attention_dropout": 0.0, "max_window_layers": 2, "rms_norm_eps": 1e-6,
         "rope_scaling": None, "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False,
         "use_sliding_window": False}

MIXED = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline",
         "modules_to_not_convert": ["lm_head", "model.layers.0.mlp.down_proj", "model.layers.1.self_attn.q_proj"]}

# A wrong epsilon shows where the norms' inputs are small.  Where the head is the embedding too, the final norm brings
# the logits back to a few units.
SMALL_EMBEDDING, SMALL_HEAD = {"embedding": 0.02}, {"embedding": 0.02, "final_norm": 15.0}

PARTS = ["token_embd", "output", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]

CASES = [
    # Heads narrower than hidden / heads.
    Case("llama-bias-linear-f32", 20260101,
         config_of("Llama", 48, 32, 2, 4, 2, VOCAB, head_dim=8, rms_norm_eps=1e-5, tie_word_embeddings=False,
                   torch_dtype="float32", **ALL_BIASES, **LINEAR), dtype=torch.float32),
    Case("llama3-bf16-sharded", 20260102,
         config_of("Llama", 48, 32, 2, 2, 1, VOCAB, rms_norm_eps=1e-5, tie_word_embeddings=True, attention_bias=False,
                   mlp_bias=False, dtype="bfloat16", rope_parameters={"rope_theta": 10000.0, **LLAMA3}), shards=3),
    Case("qwen2-f16", 20260103, config_of("Qwen2", 48, 32, 2, 4, 2, VOCAB, torch_dtype="float16", **QWEN2),
         dtype=torch.float16, stored=SMALL_HEAD),
    # Heads wider than hidden / heads, three to a group.
    Case("qwen3-bf16-sharded", 20260104,
         config_of("Qwen3", 48, 32, 2, 3, 1, VOCAB, head_dim=20, torch_dtype="bfloat16", **QWEN3), shards=2,
         stored=SMALL_EMBEDDING),
    Case("mixed-ternary", 20260105,
         config_of("Llama", 48, 40, 2, 4, 2, VOCAB, rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False,
                   torch_dtype="bfloat16", quantization_config=MIXED)),
    # Blocks of K types are 256 long, so hidden and inner are.
    Case("gguf-llama-kquants", 20260106,
         config_of("Llama", 256, 256, 1, 4, 1, 48, head_dim=16, rms_norm_eps=1e-5, rope_theta=500000.0,
                   tie_word_embeddings=True),
         kinds={"token_embd": "F16", "attn_q": "Q4_K", "attn_k": "Q6_K", "attn_v": "Q8_0", "attn_output": "Q5_0",
                "ffn_gate": "Q4_0", "ffn_up": "Q4_1", "ffn_down": "Q4_K"}),
    Case("gguf-llama-linear-bias", 20260107,
         config_of("Llama", 64, 32, 2, 4, 2, VOCAB, head_dim=16, rms_norm_eps=1e-5, tie_word_embeddings=False,
                   **ALL_BIASES, **LINEAR), kinds=dict.fromkeys(PARTS, "Q4_1")),
    Case("gguf-llama3-rope-freqs", 20260108,
         config_of("Llama", 64, 32, 1, 2, 1, VOCAB, head_dim=32, rms_norm_eps=1e-5, tie_word_embeddings=True,
                   rope_theta=10000.0, rope_scaling=LLAMA3), kinds=dict.fromkeys(PARTS, "Q8_0")),
    Case("gguf-qwen2", 20260109, config_of("Qwen2", 64, 32, 1, 4, 2, VOCAB, **QWEN2), stored=SMALL_HEAD,
         kinds=dict.fromkeys(PARTS, "Q5_0") | {"token_embd": "BF16"}),
    # Heads wider than hidden / heads; every coding that has no blocks.
    Case("gguf-qwen3", 20260110, config_of("Qwen3", 64, 32, 1, 4, 1, VOCAB, head_dim=24, **QWEN3),
         stored=SMALL_EMBEDDING,
         kinds=dict.fromkeys(PARTS, "Q4_0") | {"token_embd": "F16", "output": "BF16", "attn_k": "F32",
                                               "attn_v": "BF16", "ffn_up": "F16"}),
]


def make_case(case):
    rng = np.random.default_rng(case.seed)
    folder = HERE / case.name
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    if case.kinds:
        tensors = make_gguf(rng, case, folder)
        with tempfile.TemporaryDirectory() as other:
            save_checkpoint(Path(other), case.config, tensors)
            model = Full(Path(other), case.config)
    else:
        save_checkpoint(folder, case.config, random_tensors(rng, case.config, case.dtype, **case.stored), case.shards)
        tensors = load_checkpoint(folder)
        model = Full(folder, case.config)
    tokens, greedy = find_tokens(rng, case, tensors)
    golden = compare_transformers(model, tokens, greedy, evaluate(case.config, tensors, tokens, greedy))
    if case.kinds:
        compare_own_reader(folder, case.config, model, tokens)
    save_golden(folder, tokens, golden, greedy)


def make_gguf(rng, case, folder):
    """The float32 values of a new GGUF file, as a Hugging Face checkpoint has them."""
    path, drawn = folder / "model.gguf", random_tensors(rng, case.config, torch.float32, **case.stored)
    gguf_files.write(path, rng, case.config, drawn, case.kinds)
    tensors, frequencies = gguf_files.read(path, case.config, drawn)
    for name, x in tensors.items():
        # Nothing is in the wrong place: an unknown coding, or rows in another order, would change everything.
        kind = case.kinds.get(gguf_files.stored_name(case.config, name).split(".")[-2])
        error = float((x - drawn[name]).std() / drawn[name].std())
        assert error < 0.15 or kind in ("Q4_K", "Q6_K"), (name, error)
        assert 0.9 < float(x.std() / drawn[name].std()) < 1.1, name
    if frequencies is not None:
        assert frequencies.min() == 1 and frequencies.max() == 8 and len(set(frequencies.tolist())) > 3, frequencies
    return tensors


def find_tokens(rng, case, tensors):
    evaluators, ends = [Control(case.config, tensors)], [case.config["eos_token_id"]]
    search = Search(rng, evaluators, case.positions, case.distinct, ends)
    found = search.choose()
    if found is None:
        raise SystemExit(f"{case.name}: no tokens keep the margins: change the seed")
    print(f"{case.name}: seed {case.seed}, {search.tried} continuations tried")
    return found


# ---------------------------------------------------------------- checks, and what they measured


class Full(Transformers):
    """A control model, read by transformers."""

    def check(self, config):
        s, model, theirs = self.shape, self.model, self.model.config
        for i, layer in enumerate(model.model.layers):
            for name in PROJECTIONS:
                linear, ternary = layer.get_submodule(name), is_ternary(config, f"model.layers.{i}.{name}")
                assert type(linear) is (AutoBitLinear if ternary else torch.nn.Linear), (i, name)
                assert not ternary or not linear.online_quant
                assert (linear.bias is not None) == (name in biased(config)), (i, name)
            attention = layer.self_attn
            assert hasattr(attention, "q_norm") == hasattr(attention, "k_norm") == bool(head_norms(config))
            assert attention.head_dim == s.head_dim and getattr(attention, "sliding_window", None) is None
        assert all(p.dtype == torch.float32 for p in model.parameters())
        assert type(model.lm_head) is torch.nn.Linear and model.lm_head.bias is None
        assert (model.lm_head.weight is model.model.embed_tokens.weight) == s.tied
        assert (theirs.num_key_value_heads, theirs.hidden_act, theirs.rms_norm_eps) == (s.kv_heads, s.act, s.eps)
        assert theirs.rope_parameters["rope_theta"] == s.theta
        rotary = model.model.rotary_emb
        frequencies = torch.from_numpy(base_frequencies(s) / rope_divisors(config)).float()
        torch.testing.assert_close(rotary.inv_freq, frequencies, rtol=1e-6, atol=0)
        assert rotary.attention_scaling == 1.0


def evaluate(config, tensors, tokens, greedy):
    """`Control` in float64; in float32 it must round to the same codes and be close."""
    count, runs, outputs = len(tokens), {}, {}
    for label, dtype in [("f64", np.float64), ("f32", np.float32)]:
        runs[label] = Control(config, tensors, dtype)
        steps, entropy = runs[label].run(tokens + greedy[:-1])
        assert steps["logits"][count - 1:].argmax(axis=1).tolist() == greedy
        outputs[label] = {name: x[:count] for name, x in steps.items()}, entropy[..., :count]
        if label == "f64":
            report_margins(label, runs[label], count, steps["logits"])
    if config.get("quantization_config"):
        compare_codes("f32 - f64", runs["f32"].scaled, runs["f64"].scaled, count)
    report("reference f32 - f64", outputs["f32"], outputs["f64"])
    return outputs["f64"]


def compare_own_reader(folder, config, model, tokens):
    """transformers' reader of GGUF files, given the config: it does not take all of it from the file."""
    kind, theirs = getattr(transformers, config["architectures"][0]), copy.deepcopy(model.model.config)
    other = kind.from_pretrained(folder, gguf_file="model.gguf", config=theirs, dtype=torch.float32,
                                 attn_implementation="eager")
    for (name, ours), (same, x) in zip(model.model.named_parameters(), other.named_parameters(), strict=True):
        assert name == same and torch.equal(ours, x), name
    with torch.no_grad():
        ours, theirs = (m(torch.tensor([tokens]), use_cache=False).logits for m in (model.model, other.eval()))
    assert torch.equal(ours, theirs)
    print("  transformers' own reader of the file: the same weights and logits")


# ---------------------------------------------------------------- the golden file


def save_golden(folder, tokens, golden, greedy):
    steps, entropy = golden
    f32 = lambda x: torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    data = {"tokens": torch.tensor(tokens), "greedy": torch.tensor(greedy), "logits": f32(steps["logits"]),
            "entropy": f32(entropy), "norms": f32(row_norms(steps))}
    data |= {f"hidden.{i}": f32(x) for i, x in enumerate(hidden(steps))}
    assert all(torch.isfinite(x).all() for x in data.values()) and data["norms"].min() > 0
    save_file(data, folder / "golden.safetensors", {"steps": json.dumps(list(steps))})
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files private
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"  max |logit| {np.abs(steps['logits']).max():.2f}, least norm {data['norms'].min():.1e}, "
          f"entropy {entropy.min():.3f}..{entropy.max():.3f}; {len(set(greedy))} different tokens continue; "
          f"{size} bytes", flush=True)


def main():
    torch.set_num_threads(1)
    names = sys.argv[1:]
    for case in CASES:
        if not names or case.name in names:
            make_case(case)
    total = sum(f.stat().st_size for f in HERE.rglob("*") if f.is_file())
    print(f"{total} bytes in all")
    assert total < LARGEST_TOTAL, total


if __name__ == "__main__":
    main()
