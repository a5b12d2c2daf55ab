"""Make tiny random BitNet b1.58 checkpoints and their golden forward passes: every folder beside this file.

    requirements: torch==2.9.1 transformers==5.23.0 accelerate==1.15.0 safetensors==0.8.0 numpy==2.4.6
                  (check_gguf.py: gguf==0.19.0)
    made with:    Python 3.11.7 on x86-64, CPU, one thread
    run:          python make_goldens.py [name...]  (writes beside itself, in a few minutes)

cases.py             which fixtures there are, and what each is like
families.py          what their config.json means
random_models.py     their random tensors
token_search.py      tokens that stay away from rounding boundaries
reference.py         `Reference`: a forward pass in numpy
with_transformers.py the forward pass by transformers, float32

The golden values are transformers' for BitNetForCausalLM and LlamaForCausalLM, which read the files through the
checkpoint's own quantization_config, offline.  They are `Reference`'s, in float64, for BitnetForCausalLM (1bitLLM):
no maintained package reads that checkpoint.  `Reference` is checked against transformers on all others, and there
against transformers' BitNet class with hidden_act silu and the norms renamed (1bitLLM/bitnet_b1_58-large modelling
and utils_quant sources: SiLU, the norm names, theta 10000, absmean ternary weights, per-token int8 activations).

golden.safetensors (T tokens, L layers, Hq query heads, V vocabulary, D hidden):
    tokens    I64 [T]
    hidden.0  F32 [T, D]      embeddings; hidden.i = output of layer i-1, before the final norm
    logits    F32 [T, V]
    entropy   F32 [L, Hq, T]  bits, of each attention row
    norms     F32 [steps, T]  Euclidean norm of what each step of the forward pass gives at each position, summed in
                              float64.  The names are under `steps` in the file's metadata, a JSON array in forward
                              order: embedding; of each layer i: i.input_norm, i.q, i.k, i.v (before RoPE),
                              i.attention (all heads), i.attention_sub_norm, i.o, i.attention_residual,
                              i.post_attention_norm, i.gate, i.up, i.activation (act(gate) * up), i.mlp_sub_norm,
                              i.down, i.output; final_norm, logits.  Llama has no sub-norms.
    greedy    I64 [16]        the greedy continuation of `tokens`; never a token that ends a text
    logits.f16_kv, entropy.f16_kv, norms.f16_kv, greedy.f16_kv
                              the same from `Reference` (float64) with the keys (after RoPE) and the values rounded
                              to f16 before attention, also for the current token

A rounding boundary that two orders of float32 summation cross differently would make an int8 code differ by one and
the comparison meaningless.  So tokens are drawn one at a time, and a token is kept only if every int8 code it causes
lies at least MARGIN_CODE (token_search.py) from a boundary, with and without the f16 cache, and every f16 key or
value at least MARGIN_F16.  The last tokens are drawn again until the steps of the greedy continuation keep
MARGIN_CODE_GREEDY, each of its tokens leads by MARGIN_TOP of the rms of the logits, thousands of times what float32
changes, and both caches continue in the same way: greedy and greedy.f16_kv are equal.
Master weights keep MARGIN_WEIGHT (random_models.py) from the ternary boundary for the same reason.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # the quantisers are torch.compile'd; eager needs no C++ compiler
os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True  # nothing but fixtures beside this file

import numpy as np
import torch
from safetensors.torch import save_file

from cases import CASES
from random_models import random_tensors, save_checkpoint
from reference import Reference, load_checkpoint
from token_search import CONTINUATION, Search, top_gap
from with_transformers import Transformers, one_bit_llm

HERE = Path(__file__).resolve().parent
LARGEST_FOLDER = 400_000  # bytes


def row_norms(steps):
    """[steps, T], of the values as float32 holds them."""
    return np.stack([np.linalg.norm(x.astype(np.float32).astype(np.float64), axis=-1) for x in steps.values()])


def hidden(steps):
    return [x for name, x in steps.items() if name == "embedding" or name.endswith(".output")]


def find_tokens(rng, case, tensors):
    evaluators = [Reference(case.config, tensors), Reference(case.config, tensors, f16_kv=True)]
    ends = np.ravel(case.config.get("eos_token_id", [])).tolist()
    search = Search(rng, evaluators, case.positions, case.distinct, ends)
    found = search.choose()
    if found is None:
        raise SystemExit(f"{case.name}: no tokens keep the margins: change the seed")
    print(f"{case.name}: seed {case.seed}, {search.tried} continuations tried")
    return found


def make_case(case):
    rng = np.random.default_rng(case.seed)
    folder = HERE / case.name
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    save_checkpoint(folder, case.config, random_tensors(rng, case.config, case.dtype, **case.stored), case.shards)
    tensors = load_checkpoint(folder)
    tokens, greedy = find_tokens(rng, case, tensors)
    outputs = compare_precisions(case.config, tensors, tokens, greedy)
    one_bit = case.config["architectures"] == ["BitnetForCausalLM"]
    model = one_bit_llm(case.config, tensors) if one_bit else Transformers(folder, case.config)
    golden = compare_transformers(model, tokens, greedy, outputs["f64"])
    save_golden(folder, tokens, outputs["f64"] if one_bit else golden, outputs["f64 f16_kv"], greedy)


# ---------------------------------------------------------------- checks, and what they measured


def compare_precisions(config, tensors, tokens, greedy):
    """`Reference` with both caches, in float64 and in float32, which must round to the same codes."""
    outputs, count = {}, len(tokens)
    for cache in ("", " f16_kv"):
        runs = {}
        for label, dtype in [("f64", np.float64), ("f32", np.float32)]:
            runs[label] = Reference(config, tensors, dtype, f16_kv=bool(cache))
            steps, entropy = runs[label].run(tokens + greedy[:-1])
            assert steps["logits"][count - 1:].argmax(axis=1).tolist() == greedy
            outputs[label + cache] = {name: x[:count] for name, x in steps.items()}, entropy[..., :count]
            if label == "f64":
                report_margins(f"f64{cache}", runs[label], count, steps["logits"])
        compare_codes(f"f32 - f64{cache}", runs["f32"].scaled, runs["f64"].scaled, count)
        report(f"reference f32 - f64{cache}", outputs["f32" + cache], outputs["f64" + cache])
    report("reference f64 f16_kv - f64", outputs["f64 f16_kv"], outputs["f64"])
    a, b = (outputs[k][0]["logits"].argmax(axis=1) for k in ("f64 f16_kv", "f64"))
    print(f"  f16 cache: same top token at {np.count_nonzero(a == b)} of {count} positions, "
          f"same continuation, of {len(set(greedy))} different tokens")
    return outputs


def compare_codes(label, a, b, count):
    """What was rounded to int8: the tokens must give the same codes."""
    flat = lambda steps: np.concatenate([x for step in steps for x in step]).astype(np.float64)
    for part, x, y in [("tokens", flat(a[:count]), flat(b[:count])), ("greedy", flat(a[count:]), flat(b[count:]))]:
        flips = np.count_nonzero(np.rint(x) != np.rint(y))
        print(f"  {f'before int8, {part}, {label}':42s} rms {np.sqrt(np.mean((x - y) ** 2)):.1e}, "
              f"at most {np.abs(x - y).max():.1e} codes; {flips} of {x.size} codes differ")
        assert part == "greedy" or flips == 0


def report_margins(label, run, count, logits):
    least = lambda key, met: min(m[key] for m in met)
    prompt, continuation = run.margins[:count], run.margins[count:]
    print(f"  {'margins, ' + label:42s} codes {least('code', prompt):.1e} tokens, {least('code', continuation):.1e} "
          f"greedy; f16 ulps {least('f16', prompt):.1e}, {least('f16', continuation):.1e}; "
          f"top logit by {min(map(top_gap, logits[count - 1:])):.3f} of rms")


def compare_transformers(model, tokens, greedy, ours):
    steps, entropy = model.run(tokens)
    assert steps.keys() == ours[0].keys()
    theirs = {name: steps[name] for name in ours[0]}, entropy  # in forward order
    worst = report("transformers f32 - reference f64", theirs, ours)
    assert max(worst) < 5e-5, worst
    assert model.greedy(tokens, CONTINUATION) == greedy
    return theirs


def report(label, a, b):
    """Prints and returns the largest differences: logits and hidden of their largest value, norms of each, bits."""
    of_largest = lambda x, y: float(np.abs(x - y).max() / np.abs(y).max())
    logits = of_largest(a[0]["logits"], b[0]["logits"])
    states = max(of_largest(x, y) for x, y in zip(hidden(a[0]), hidden(b[0])))
    norms = float(np.abs(row_norms(a[0]) / row_norms(b[0]) - 1).max())
    bits = float(np.abs(a[1] - b[1]).max())
    print(f"  {label:42s} logits {logits:.1e}, hidden {states:.1e}, norms {norms:.1e} relative; "
          f"entropy {bits:.1e} bit")
    return logits, states, norms, bits


# ---------------------------------------------------------------- the golden file


def save_golden(folder, tokens, golden, cached, greedy):
    f32 = lambda x: torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    i64 = lambda x: torch.tensor(x, dtype=torch.int64)
    data = {"tokens": i64(tokens), "greedy": i64(greedy), "greedy.f16_kv": i64(greedy)}
    for suffix, (steps, entropy) in [("", golden), (".f16_kv", cached)]:
        data |= {f"logits{suffix}": f32(steps["logits"]), f"entropy{suffix}": f32(entropy),
                 f"norms{suffix}": f32(row_norms(steps))}
    data |= {f"hidden.{i}": f32(x) for i, x in enumerate(hidden(golden[0]))}
    assert all(torch.isfinite(x).all() for x in data.values()) and data["norms"].min() > 0
    save_file(data, folder / "golden.safetensors", {"steps": json.dumps(list(golden[0]))})
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files private
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"  max |logit| {np.abs(golden[0]['logits']).max():.2f}, least norm {data['norms'].min():.1e}, "
          f"entropy {golden[1].min():.3f}..{golden[1].max():.3f}; {size} bytes", flush=True)
    assert size < LARGEST_FOLDER, size


def main():
    torch.set_num_threads(1)
    names = sys.argv[1:]
    for case in CASES:
        if not names or case.name in names:
            make_case(case)


if __name__ == "__main__":
    main()
