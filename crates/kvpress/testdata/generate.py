"""What kvpress keeps, on tensors small enough for git: every file beside this one.

    requirements: kvpress==0.5.5 transformers==5.2.0 torch==2.9.1 safetensors numpy
    made with:    Python 3.11 on x86-64, CPU, one thread, float32
    run:          python generate.py  (writes beside itself, in about a minute)

kvpress 0.5.4 and 0.5.5 keep the same of these tensors: of the presses below, 0.5.5 changes that a budget that rounds to
nothing keeps one token (`compute_n_kept`; also PyramidKV's fallback, AdaKV's safeguard and CriticalKV's first stage), that
PyramidKV may have a single layer, and that Knorm of a bfloat16 cache is taken in float32.  None of it bears on a cache in
float32 whose budgets, safeguards and first stages are one token or more, as all are here.

A model is a random Llama in eager attention.  Its pre-RoPE queries, its values and its keys after RoPE are rounded to
float16 as they are made, so that a file may hold them in half the size and a press still reads exactly what is in it.
All presses read one forward pass: a hook on each attention layer, in the place of `BasePress.forward_hook` and with its
arguments, calls the `compress` of each in turn and leaves the cache as it is.  `attentions` are handed to
observed_attention alone; the others get None, as under sdpa, and head-wise presses, which refuse eager attention, run
with the name of the implementation changed.  `with press(model)` over the same model keeps the same positions: compared for
every press that shrinks the cache.  The BLAS sums in an order that depends on how memory happens to be aligned, so that
another run may differ in a tensor's last bit, and seldom in a rounding; plans.json was the same in all runs.  README.md
says what the files hold.
"""

import json
from contextlib import contextmanager
from pathlib import Path

import torch
from kvpress import (
    AdaKVPress,
    BlockPress,
    ChunkKVPress,
    CriticalAdaKVPress,
    CriticalKVPress,
    CURPress,
    ExpectedAttentionPress,
    KeyDiffPress,
    KnormPress,
    LagKVPress,
    ObservedAttentionPress,
    PyramidKVPress,
    SnapKVPress,
    StreamingLLMPress,
    TOVAPress,
)
from safetensors.torch import save_file
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.models.llama import modeling_llama

HERE = Path(__file__).parent
HIDDEN = 48

# Query heads, KV heads, head dim, RoPE theta and lengths.  PyramidKV needs layers to differ: there are three.
MODELS = {
    "gqa": (8, 2, 16, 10000.0, [96, 300]),
    "mha": (4, 4, 16, 500000.0, [96, 300]),
    "narrow": (4, 2, 8, 10000.0, [700]),
}
LAYERS = 3
RATIOS = [0.1, 0.25, 0.5, 0.75, 0.9]


def expected(**options):
    return ExpectedAttentionPress(**options)


# Names are those of kvpress' evaluation registry or, where that has none, of the classes in the order they wrap.
PRESSES = {
    "streaming_llm": StreamingLLMPress,
    "streaming_llm{n_sink=9}": lambda: StreamingLLMPress(n_sink=9),
    "knorm": KnormPress,
    "keydiff": KeyDiffPress,
    "tova": TOVAPress,
    "observed_attention": ObservedAttentionPress,
    "snapkv": SnapKVPress,
    "snapkv{kernel_size=7,window_size=8}": lambda: SnapKVPress(window_size=8, kernel_size=7),
    "pyramidkv": PyramidKVPress,
    "pyramidkv{beta=10,window_size=8}": lambda: PyramidKVPress(window_size=8, beta=10),
    "expected_attention": expected,
    "expected_attention{epsilon=0.01,n_future_positions=64,n_sink=2}": lambda: expected(
        n_future_positions=64, n_sink=2, epsilon=0.01
    ),
    "expected_attention{use_covariance=false,use_vnorm=false}": lambda: expected(use_covariance=False, use_vnorm=False),
    "lagkv": LagKVPress,
    "lagkv{lag_size=16,n_sink=7}": lambda: LagKVPress(lag_size=16, n_sink=7),
    "lagkv{cross_scoring=true,lag_size=16}": lambda: LagKVPress(lag_size=16, cross_scoring=True),
    "cur": CURPress,
    "critical_snapkv": lambda: CriticalKVPress(SnapKVPress()),
    "critical_snapkv{epsilon=0.01,first_stage_ratio=0.3,window_size=8}": lambda: CriticalKVPress(
        SnapKVPress(window_size=8), epsilon=0.01, first_stage_ratio=0.3
    ),
    "critical_expected_attention": lambda: CriticalKVPress(expected(use_vnorm=False)),
    "adakv_snapkv": lambda: AdaKVPress(SnapKVPress()),
    "adakv_snapkv{alpha_safeguard=0.5,window_size=8}": lambda: AdaKVPress(SnapKVPress(window_size=8), 0.5),
    "adakv_knorm": lambda: AdaKVPress(KnormPress()),
    "adakv_expected_attention": lambda: AdaKVPress(expected()),
    "adakv_expected_attention_e2": lambda: AdaKVPress(expected(epsilon=1e-2)),
    "critical_adakv_snapkv": lambda: CriticalAdaKVPress(SnapKVPress()),
    "critical_adakv_snapkv{window_size=8}": lambda: CriticalAdaKVPress(SnapKVPress(window_size=8)),
    "critical_adakv_expected_attention": lambda: CriticalAdaKVPress(expected(use_vnorm=False)),
    "chunkkv": lambda: ChunkKVPress(SnapKVPress(), chunk_length=20),
    "block_keydiff": lambda: BlockPress(KeyDiffPress(), block_size=128),
}


def half(x):
    """Rounded to float16, in float32."""
    return x.half().float()


def random_model(query_heads, kv_heads, head_dim, theta):
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=query_heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).eval()
    for layer in model.model.layers:
        # Wide enough that attention is neither flat nor a single peak.
        for name, std in [("q_proj", 0.25), ("k_proj", 0.25), ("v_proj", 0.15), ("o_proj", 0.15)]:
            weight = getattr(layer.self_attn, name).weight
            weight.data = half(torch.randn(weight.shape) * std)
        layer.self_attn.q_proj.register_forward_hook(lambda module, args, out: half(out))
        layer.self_attn.v_proj.register_forward_hook(lambda module, args, out: half(out))
    return model


@contextmanager
def rounded_keys(seen):
    """Rounds keys after RoPE to float16, and keeps the rotated queries in `seen`, in the order of the layers."""
    rotate = modeling_llama.apply_rotary_pos_emb

    def rounding(q, k, *args, **kwargs):
        q, k = rotate(q, k, *args, **kwargs)
        seen.append(q[0])
        return q, half(k)

    modeling_llama.apply_rotary_pos_emb = rounding
    try:
        yield
    finally:
        modeling_llama.apply_rotary_pos_emb = rotate


def positions(rows, among):
    """Where each of `rows` stands in `among`, sorted; both [heads, tokens, head_dim]."""
    found = []
    for kept, all_rows in zip(rows.numpy(), among.numpy()):
        place = {row.tobytes(): position for position, row in enumerate(all_rows)}
        assert len(place) == len(all_rows), "two keys are equal; draw other ones"
        found.append(sorted(place[row.tobytes()] for row in kept))
    return found


def kept_by(name, press, module, hidden, keys, values, attentions, kwargs):
    """The positions that each KV head keeps of one layer."""
    headwise = isinstance(press, (AdaKVPress, CriticalAdaKVPress))
    module.config._attn_implementation = "sdpa" if headwise else "eager"
    given = attentions if name == "observed_attention" else None
    left, _ = press.compress(module, hidden, keys.clone(), values.clone(), given, kwargs)
    module.config._attn_implementation = "eager"
    if not headwise:
        return positions(left[0], keys[0])
    _, heads, masked = module.masked_key_indices
    there = torch.ones(keys.shape[1:3], dtype=torch.bool)
    there[heads, masked] = False
    return [row.nonzero().flatten().tolist() for row in there]


def bitmap(kept, tokens):
    """Position p is bit p % 4, counted from the lowest, of hexadecimal digit p // 4."""
    digits = [0] * -(-tokens // 4)
    for p in kept:
        digits[p // 4] |= 1 << p % 4
    return "".join(f"{d:x}" for d in digits)


def run(model, tokens):
    """The tensors of one forward pass over random embeddings, and what each press keeps of it."""
    tensors, plans, rotated, hooks = {}, {name: {} for name in PRESSES}, [], []

    def attention_hook(module, args, kwargs, output):
        layer = module.layer_idx
        hidden, cache = kwargs["hidden_states"], kwargs["past_key_values"].layers[layer]
        keys, values = cache.keys, cache.values
        q_pre = module.q_proj(hidden).view(1, tokens, -1, module.head_dim).transpose(1, 2)
        tensors[f"q_pre.{layer}"] = q_pre[0].half()
        tensors[f"q.{layer}"] = rotated[layer]
        tensors[f"k.{layer}"] = keys[0].half()
        tensors[f"v.{layer}"] = values[0].half()
        tensors[f"o_proj.{layer}"] = module.o_proj.weight.half()
        for name, build in PRESSES.items():
            press = build()
            for ratio in RATIOS:
                press.compression_ratio = ratio
                try:
                    kept = kept_by(name, press, module, hidden, keys, values, output[1], kwargs)
                    plan = [bitmap(head, tokens) for head in kept]
                except (AssertionError, RuntimeError) as error:
                    module.config._attn_implementation = "eager"
                    plan = str(error).split("\n")[0]
                    print(f"{tokens} tokens, layer {layer}: {name} at {ratio}: {plan}")
                plans[name].setdefault(str(ratio), []).append(plan)

    for layer in model.model.layers:
        layer.self_attn.rotary_emb = model.model.rotary_emb
        hooks.append(layer.self_attn.register_forward_hook(attention_hook, with_kwargs=True))
    with torch.no_grad(), rounded_keys(rotated):
        model.model(inputs_embeds=torch.randn(1, tokens, HIDDEN), past_key_values=DynamicCache(), use_cache=True)
    for hook in hooks:
        hook.remove()
    return {name: t.contiguous() for name, t in tensors.items()}, plans


def main():
    torch.set_num_threads(1)
    torch.manual_seed(20240601)
    expected_plans = {}
    for name, (query_heads, kv_heads, head_dim, theta, lengths) in MODELS.items():
        model = random_model(query_heads, kv_heads, head_dim, theta)
        for tokens in lengths:
            tensors, plans = run(model, tokens)
            stem = f"{name}-{tokens}"
            metadata = {"rope_theta": repr(theta), "rope_pairs": "halves"}
            save_file(tensors, HERE / f"{stem}.safetensors", metadata=metadata)
            expected_plans[stem] = plans
    text = json.dumps(expected_plans, separators=(",", ":"))
    # One press a line, so that a change can be read.
    for name in PRESSES:
        text = text.replace(f'"{name}":{{', f'\n"{name}":{{')
    (HERE / "plans.json").write_text(text + "\n")


main()
