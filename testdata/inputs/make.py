"""Makes the inputs that people report: python testdata/inputs/make.py (Python 3.9, no packages).

`base/` is a small model with random weights as a Hugging Face folder. Each folder of `cases/` holds only the files in
which a case differs from it. `cases.json` says, case by case, what the input is, which files of `base/` it lacks, and
which case it must equal. The test `crates/cli/tests/inputs.rs` runs every command on each case and compares exit code
and message with `expected.txt`.

To add a report, add one line to a `CASES` list below, run this script, and run the test with BITKV_WRITE_INPUTS=1.
"""

import json
import math
import random
import shutil
import struct
from pathlib import Path

HERE = Path(__file__).parent
HIDDEN, HEADS, KV_HEADS, LAYERS, CONTEXT, THETA, SCALE = 128, 4, 1, 2, 64, 10_000.0, 1 / 64
HEAD = HIDDEN // HEADS

# ------------------------------------------------------------------------------------------------ the base model

LETTERS = ["Ġ", "Ċ", ".", ",", "'", "-", "?", "!", ":", "<", ">", "|", "_", "/", "#", "*", *"0123456789"]
LETTERS += [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["S", "A", "U", "T"]
MERGES = ["t h", "th e", "Ġ the", "h i", "o n", "Ġ on", "i n", "a n"]
SPECIAL = ["<s>", "</s>"]
TOKENS = SPECIAL + LETTERS + [m.replace(" ", "") for m in MERGES]
VOCABULARY = len(TOKENS)


def linears():
    widths = {"self_attn.q_proj": HIDDEN, "self_attn.k_proj": HEAD * KV_HEADS, "self_attn.v_proj": HEAD * KV_HEADS}
    names = ["self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    widths.update((name, HIDDEN) for name in names)
    return widths


def frequency(token):
    """About how often a token occurs in English text."""
    letters = "Ġetaoinshrdlucmfgwypbvk"
    return 0.16 * 0.86 ** letters.index(token) if token in letters else 0.03 if len(token) > 1 else 0.002


def sixteenth(x):
    """Rounds so that the value is exact in bfloat16 and in float16."""
    return round(16 * x) / 16


def base_weights():
    """Every matrix of codes -1, 0 and 1, every norm and the embedding, by Hugging Face name."""
    rng = random.Random(15)
    # The first columns predict each token by its frequency, so that the model is better than guessing. The signs of the
    # final norm keep a tied model from repeating its last token.
    common = lambda token: [sixteenth(4 + 0.24 * math.log(frequency(token)) + 0.03 * rng.gauss(0, 1)) for _ in range(16)]
    other = lambda: [sixteenth(0.5 * rng.gauss(0, 1)) for _ in range(HIDDEN - 16)]
    weights = {"model.embed_tokens.weight": [common(token) + other() for token in TOKENS],
               "model.norm.weight": [0.125] * 16 + [rng.choice((-0.375, 0.375)) for _ in range(HIDDEN - 16)]}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        norms = ["input_layernorm", "post_attention_layernorm", "self_attn.attn_sub_norm", "mlp.ffn_sub_norm"]
        for norm in norms:
            weights[f"{prefix}{norm}.weight"] = [1 + 0.1 * rng.gauss(0, 1) for _ in range(HIDDEN)]
        for name, rows in linears().items():
            weights[f"{prefix}{name}.weight"] = [[rng.choice((-1, 0, 1)) for _ in range(HIDDEN)] for _ in range(rows)]
    return weights


def bf16(values):
    """Rounds to bfloat16 by dropping bits, so that every value is exact in F32 too."""
    return b"".join(struct.pack("<f", x)[2:] for x in values)


def as_bf16(x):
    return struct.unpack("<f", b"\0\0" + struct.pack("<f", x)[2:])[0]


def flat(rows):
    return [x for row in rows for x in row] if isinstance(rows[0], list) else rows


def packed(codes):
    """Four rows a byte, a quarter of the rows apart, lowest bits first."""
    quarter = len(codes) // 4
    rows = ((sum((codes[r + i * quarter][c] + 1) << 2 * i for i in range(4)) for c in range(HIDDEN))
            for r in range(quarter))
    return bytes(byte for row in rows for byte in row)


def is_linear(name):
    return "_proj." in name


def base_tensors(weights, scale=SCALE):
    """The tensors of a packed checkpoint: name -> (type, shape, bytes)."""
    tensors = {}
    for name, values in weights.items():
        if is_linear(name):
            tensors[name] = ("U8", [len(values) // 4, HIDDEN], packed(values))
            tensors[name + "_scale"] = ("BF16", [1], bf16([scale]))
        else:
            shape = [len(values)] + ([len(values[0])] if isinstance(values[0], list) else [])
            tensors[name] = ("BF16", shape, bf16(flat(values)))
    return tensors


def safetensors(tensors):
    header, data = {}, b""
    for name, (kind, shape, raw) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


QUANTIZATION = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}
CONFIG = {
    "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
    "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS, "hidden_act": "relu2", "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-05,
    "rope_theta": THETA, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1,
    "quantization_config": QUANTIZATION,
}
BEFORE = {"type": "TemplateProcessing",
          "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
          "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
          "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}


def added(id, content, special=True):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special}


TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(0, "<s>"), added(1, "</s>")],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": BEFORE,
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
              "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
              "vocab": {token: i for i, token in enumerate(TOKENS)}, "merges": MERGES},
}
TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                    "chat_template": "{{ bos_token }}{% for m in messages %}{{ m.role[0] | upper }}: {{ m.content }}"
                                     "\n{% endfor %}{% if add_generation_prompt %}A:{% endif %}"}

WEIGHTS = base_weights()
TENSORS = base_tensors(WEIGHTS)


def dump(value):
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


# ------------------------------------------------------------------------------------------------ files of a case


def config(remove=(), **changes):
    value = {**CONFIG, **changes}
    return {"config.json": dump({key: x for key, x in value.items() if key not in remove})}


def tokenizer(remove=(), model=None, **changes):
    value = {**TOKENIZER, **changes}
    value["model"] = {**value["model"], **(model or {})}
    return {"tokenizer.json": dump({key: x for key, x in value.items() if key not in remove})}


def tokenizer_config(remove=(), **changes):
    value = {**TOKENIZER_CONFIG, **changes}
    return {"tokenizer_config.json": dump({key: x for key, x in value.items() if key not in remove})}


def template(text):
    return tokenizer_config(chat_template=text)


def weights(change=None, rename=None, **more):
    """The base tensors after `change`, with the tensors `more` (dots written as __), under the names of `rename`."""
    tensors = dict(TENSORS)
    if change:
        change(tensors)
    tensors.update((name.replace("__", "."), tensor) for name, tensor in more.items())
    if rename:
        tensors = {rename(name): tensor for name, tensor in tensors.items()}
    return {"model.safetensors": safetensors(tensors)}


def other_head():
    rng = random.Random(4)
    rows = bf16([rng.gauss(0, 1) for _ in range(VOCABULARY * HIDDEN)])
    return {"lm_head__weight": ("BF16", [VOCABULARY, HIDDEN], rows)}


def equal_head():
    return {"lm_head__weight": TENSORS["model.embed_tokens.weight"]}


def scales(shape):
    """Every scale with another shape."""
    def change(tensors):
        for name in tensors:
            if name.endswith("_scale"):
                tensors[name] = (tensors[name][0], shape, tensors[name][2])
    return change


def reciprocal(tensors):
    tensors.update(base_tensors(WEIGHTS, 1 / SCALE))


def padded(rows):
    """`rows` rows of zeros after the last embedding."""
    def change(tensors):
        kind, shape, raw = tensors["model.embed_tokens.weight"]
        tensors["model.embed_tokens.weight"] = (kind, [shape[0] + rows, HIDDEN], raw + bytes(2 * HIDDEN * rows))
    return change


def holes(tensors):
    kind, shape, raw = tensors["model.embed_tokens.weight"]
    tensors["model.embed_tokens.weight"] = (kind, shape, raw[:8192] + bytes(4096) + raw[12288:])


def large_values(tensors):
    """Values of layer 1 that an f16 cache cannot hold."""
    tensors["model.layers.1.self_attn.v_proj.weight_scale"] = ("BF16", [1], bf16([65536.0]))


def overflow(tensors):
    """A residual stream that overflows f32, so that every logit is NaN."""
    tensors["model.layers.0.mlp.down_proj.weight_scale"] = ("BF16", [1], bf16([3e38]))
    tensors["model.layers.1.mlp.down_proj.weight_scale"] = ("BF16", [1], bf16([3e38]))


def is_in(layers, name):
    """Whether a tensor belongs to the first layers or to none. Files of one layer keep the repository small."""
    return not name.startswith("model.layers.") or int(name.split(".")[2]) < layers


def masters(noise=0.0):
    """Full-precision masters of a Llama of one layer: each matrix is {-s, 0, s}, plus noise."""
    rng, tensors = random.Random(26), {}
    for name, values in WEIGHTS.items():
        if "sub_norm" in name or not is_in(1, name):
            continue
        numbers = [SCALE * x + noise * rng.gauss(0, 1) for x in flat(values)] if is_linear(name) else flat(values)
        shape = [len(values)] + ([len(values[0])] if isinstance(values[0], list) else [])
        tensors[name] = ("BF16", shape, bf16(numbers))
    return {"model.safetensors": safetensors(tensors)}


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
LOST = config(remove=["quantization_config"], num_hidden_layers=1, **LLAMA)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 123456\n"
PAGE = b"<!DOCTYPE html>\n<html lang=\"en\"><head><title>Sign in</title></head><body>Sign in</body></html>\n"
MARK = b"\xef\xbb\xbf"
ZIP = b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(200)


def file(name, content):
    return {name: content}


def marked(files):
    return {name: MARK + content for name, content in files.items()}


# ------------------------------------------------------------------------------------------------ GGUF files

TYPES = {"F32": 0, "F16": 1, "I2_S": 36, "IQ2_BN": 135}
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "self_attn.attn_sub_norm": "attn_sub_norm", "mlp.ffn_sub_norm": "ffn_sub_norm"}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{NAMES[part.removesuffix('.weight')]}.weight"


def i2_s(codes):
    """128 columns a block: four groups of 32, the first in the highest bits; the scale after the codes."""
    out = bytearray()
    for row in codes:
        for c in range(32):
            out.append(sum((row[c + 32 * i] + 1) << (6 - 2 * i) for i in range(4)))
    return bytes(out) + struct.pack("<f", SCALE) + bytes(28)


def gguf_tensors(change=None, layers=LAYERS):
    """name -> (type, shape as GGUF has it, bytes)."""
    tensors = {}
    for name, values in WEIGHTS.items():
        if not is_in(layers, name):
            continue
        shape = [HIDDEN, len(values)] if isinstance(values[0], list) else [len(values)]
        kind = "I2_S" if is_linear(name) else "F16" if len(shape) == 2 else "F32"
        numbers = [as_bf16(x) for x in flat(values)]
        form = {"F16": "e", "F32": "f"}.get(kind)
        raw = i2_s(values) if is_linear(name) else struct.pack(f"<{len(numbers)}{form}", *numbers)
        tensors[gguf_name(name)] = (kind, shape, raw)
    if change:
        change(tensors)
    return tensors


def text(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def field(value):
    """A value with its GGUF type: bool, int (u32, or i32 if negative), float, str, or a list of these."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return (5, struct.pack("<i", value)) if value < 0 else (4, struct.pack("<I", value))
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, text(value)
    if isinstance(value, Short):
        return 2, struct.pack("<H", value.number)
    kind = 5 if isinstance(value, Signed) else field(value[0])[0]
    items = b"".join(struct.pack("<i", x) if kind == 5 else field(x)[1] for x in value)
    return 9, struct.pack("<IQ", kind, len(value)) + items


class Signed(list):
    """A list of signed integers."""


class Short:
    """A 16-bit integer, as in the keys of split files."""

    def __init__(self, number):
        self.number = number


def gguf_keys(architecture="bitnet-b1.58", remove=(), **changes):
    """The metadata. A changed key has dots written as __, and `A__` for the prefix of the architecture."""
    keys = {
        "general.architecture": architecture, "A.vocab_size": VOCABULARY, "A.context_length": CONTEXT,
        "A.embedding_length": HIDDEN, "A.block_count": LAYERS, "A.feed_forward_length": HIDDEN,
        "A.rope.dimension_count": HEAD, "A.attention.head_count": HEADS, "A.attention.head_count_kv": KV_HEADS,
        "A.attention.layer_norm_rms_epsilon": 1e-5, "A.rope.freq_base": THETA, "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": Signed([3, 3] + [1] * (VOCABULARY - 2)), "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.add_bos_token": True,
    }
    keys.update((key.replace("__", "."), value) for key, value in changes.items())
    keys = {key: value for key, value in keys.items() if key not in remove}
    return {(architecture + key[1:] if key.startswith("A.") else key): value for key, value in keys.items()}


def gguf_bytes(keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, value in keys.items():
        kind, raw = field(value)
        head += text(key) + struct.pack("<I", kind) + raw
    infos, data = b"", b""
    for name, (kind, shape, raw) in tensors.items():
        data += bytes(-len(data) % 32)
        infos += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        infos += struct.pack("<IQ", TYPES[kind], len(data))
        data += raw
    head += infos
    return head + bytes(-len(head) % 32) + data


def gguf(change=None, **changes):
    return {"model.gguf": gguf_bytes(gguf_keys(**changes), gguf_tensors(change))}


def small_gguf(change=None, **changes):
    """A file of one layer."""
    return {"model.gguf": gguf_bytes(gguf_keys(**{"A__block_count": 1, **changes}), gguf_tensors(change, layers=1))}


def split(parts=(0, 1), count=2, **changes):
    """The file as llama.cpp's gguf-split writes it: the metadata in the first part, tensors in all parts."""
    keys, tensors = gguf_keys(**changes), gguf_tensors()
    names, files = list(tensors), {}
    for part in parts:
        mine = names[len(names) * part // count:len(names) * (part + 1) // count]
        numbers = {"split.no": Short(part), "split.count": Short(count), "split.tensors.count": len(names)}
        own = {**keys, **numbers} if part == 0 else numbers
        name = f"model-{part + 1:05}-of-{count:05}.gguf"
        files[name] = gguf_bytes(own, {name: tensors[name] for name in mine})
    return files


def other_type(tensors):
    kind, shape, raw = tensors["blk.0.attn_q.weight"]
    tensors["blk.0.attn_q.weight"] = ("IQ2_BN", shape, raw)


def with_bias(tensors):
    tensors["blk.0.attn_q.bias"] = ("F32", [HIDDEN], bytes(4 * HIDDEN))


def with_short_bias(tensors):
    tensors["blk.0.attn_q.bias"] = ("F32", [3], bytes(12))


# ------------------------------------------------------------------------------------------------ the cases

# A case: its name, what the input is, its files. `without` lists files of base/ that it lacks; `equals` names the case
# whose logits it must have; `model` is the path that --model gets, if it is not the folder.
# Each command runs on each case.


def case(name, what, *files, without=(), equals=None, model=None, commands=None):
    merged = {path: content for part in files for path, content in part.items()}
    return {"name": name, "what": what, "files": merged, "without": list(without), "equals": equals, "model": model,
            "commands": commands}


def gguf_case(name, what, *files, model="model.gguf", **more):
    base = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    return case(name, what, *files, without=base, model=model, **more)


LINEAR = lambda factor: {"type": "linear", "factor": factor}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}

ROPE_CASES = [
    case("plain", "the base model"),
    case("theta-500", "another base of the rotary frequencies", config(rope_theta=500.0)),
    case("theta-in-rope-scaling", "the base is inside rope_scaling", config(remove=["rope_theta"], rope_scaling={"rope_type": "default", "rope_theta": 500.0}), equals="theta-500"),
    case("theta-in-rope-parameters", "transformers 5 writes rope_parameters", config(remove=["rope_theta"], rope_parameters={"rope_type": "default", "rope_theta": 500.0}), equals="theta-500"),
    case("theta-by-layer-type", "rope_parameters nested by the type of layer", config(remove=["rope_theta"], rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 500.0}}), equals="theta-500"),
    case("theta-places-differ", "rope_parameters and the top level differ", config(rope_theta=700.0, rope_parameters={"rope_type": "default", "rope_theta": 500.0}), equals="theta-500"),
    case("theta-text", "the base is a text", config(rope_theta="10000")),
    case("rope-linear-1", "linear scaling by 1, which scales nothing", config(rope_scaling=LINEAR(1.0)), equals="plain"),
    case("rope-empty", "an empty rope_scaling", config(rope_scaling={}), equals="plain"),
    case("rope-linear-2", "linear scaling by 2", config(rope_scaling=LINEAR(2.0))),
    case("rope-llama3", "RoPE of the type llama3", config(rope_scaling=LLAMA3)),
    case("rope-llama3-incomplete", "llama3 without its factor", config(rope_scaling={**LLAMA3, "factor": None})),
    case("rope-yarn", "yarn in rope_parameters", config(rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": THETA})),
    case("rope-unknown-key", "a key of rope_scaling that no rule knows", config(rope_scaling={"rope_type": "default", "twist": 3.0})),
    case("rope-partial", "half of each head is rotated", config(partial_rotary_factor=0.5)),
    case("rope-partial-nested", "half of each head is rotated, inside rope_parameters", config(rope_parameters={"rope_type": "default", "rope_theta": THETA, "partial_rotary_factor": 0.5})),
]
CONFIG_CASES = [
    case("activation-other-key", "the activation is at hidden_activation", config(remove=["hidden_act"], hidden_activation="relu2"), equals="plain"),
    case("activation-silu", "SiLU", config(hidden_act="silu")),
    case("activation-gelu", "an activation that no BitNet has", config(hidden_act="gelu")),
    case("softcap", "logits are capped", config(final_logit_softcapping=30.0)),
    case("softcap-null", "a null softcap", config(final_logit_softcapping=None), equals="plain"),
    case("sliding-window", "a sliding window", config(sliding_window=32)),
    case("hadamard", "a Hadamard transform before linear layers", config(use_hadamard=True)),
    case("attention-bias", "biases that the weights lack", config(attention_bias=True)),
    case("qwen3-without-norms", "a Qwen3 without the norms of its heads", config(architectures=["Qwen3ForCausalLM"])),
    case("qwen2-without-biases", "a Qwen2 without its biases", config(architectures=["Qwen2ForCausalLM"])),
    case("gemma", "an architecture that bitkv does not run", config(architectures=["Gemma3ForCausalLM"])),
    case("multiplier", "a residual multiplier", config(residual_multiplier=0.5)),
    case("harmless-key", "a key that changes nothing", config(initializer_range=0.02, my_note="hello"), equals="plain"),
    case("epsilon-huge", "an epsilon that no model has", config(rms_norm_eps=1e30)),
    case("causal-false", "attention in both directions", config(is_causal=False)),
    case("bidirectional", "attention in both directions under another name", config(use_bidirectional_attention=True)),
    case("layers-too-few", "fewer layers than the weights have", config(num_hidden_layers=1)),
    case("layers-too-many", "more layers than the weights have", config(num_hidden_layers=3)),
    case("key-twice", "a key that appears twice", file("config.json", dump(CONFIG).replace(b'"rope_theta"', b'"rope_theta": 5.0, "rope_theta"'))),
    case("bos-minus-one", "first token -1: none", config(bos_token_id=-1)),
    case("tied-with-other-head", "tied, with an lm_head that differs", weights(**other_head())),
    case("untied-with-other-head", "untied", config(tie_word_embeddings=False), weights(**other_head()), equals="tied-with-other-head"),
    case("tied-with-equal-head", "tied, with an equal lm_head", weights(**equal_head()), equals="plain"),
]
TOKENIZER_CASES = [
    case("no-first-token", "the tokenizer adds nothing", tokenizer(post_processor=None)),
    case("add-bos-false", "add_bos_token is false", tokenizer(post_processor=None), tokenizer_config(add_bos_token=False)),
    case("adds-eos", "the tokenizer adds a last token", tokenizer(post_processor={**BEFORE, "single": BEFORE["single"] + [{"SpecialToken": {"id": "</s>", "type_id": 0}}], "special_tokens": {**BEFORE["special_tokens"], "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}})),
    case("one-token-too-many", "[PAD] was added after the model's vocabulary", tokenizer(added_tokens=TOKENIZER["added_tokens"] + [added(VOCABULARY, "[PAD]")])),
    case("other-tokenizer", "most tokens lie beyond the vocabulary", tokenizer(model={"vocab": {token: i + (200 if i > 1 else 0) for i, token in enumerate(TOKENS)}})),
    case("no-merges", "the list of merges is empty", tokenizer(model={"merges": []})),
    case("endless-expression", "an expression that never ends", tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(h+)+$"}, "behavior": "Isolated", "invert": False}, TOKENIZER["pre_tokenizer"]]})),
    case("empty-replace", "a normalizer that replaces the empty text", tokenizer(normalizer={"type": "Replace", "pattern": {"String": ""}, "content": "x"})),
    case("damaged-charsmap", "a damaged normalizer", tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})),
    case("wordpiece", "a tokenizer of another kind", tokenizer(model={"type": "WordPiece"})),
    case("no-tokenizer", "no tokenizer", without=["tokenizer.json", "tokenizer_config.json"]),
]
TEMPLATE_CASES = [
    case("template-without-bos", "the template writes no first token", template("{% for m in messages %}u: {{ m.content }}\n{% endfor %}a:")),
    case("template-generation", "a generation block", template("{{ bos_token }}{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}")),
    case("template-percent", "Python's formatting of texts", template("{{ bos_token }}{{ 'u %s a' % messages[0].content }}")),
    case("template-tojson", "tojson with an option", template("{{ bos_token }}{{ messages[0].content | tojson(ensure_ascii=False) }}")),
    case("template-empty", "an empty template file", file("chat_template.jinja", b"")),
    case("template-mark", "a byte order mark before a template", file("chat_template.jinja", MARK + b"{{ bos_token }}{{ messages[0].content }}")),
    case("template-doubles", "a text that doubles 40 times", template("{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}")),
    case("template-deep", "3,000 nested brackets", template("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}")),
    case("template-raises", "the template refuses the messages", template("{{ raise_exception('no system message') }}")),
    case("template-damaged", "a tag that does not end", template("{% for m in messages %}{{ m.content }}")),
    case("no-template", "no template", tokenizer_config(remove=["chat_template"])),
]
FILE_CASES = [
    case("pointer-weights", "a git-lfs pointer", file("model.safetensors", POINTER)),
    case("pointer-tokenizer", "a git-lfs pointer", file("tokenizer.json", POINTER)),
    case("pointer-config", "a git-lfs pointer", file("config.json", POINTER)),
    case("page-weights", "a page of a web site", file("model.safetensors", PAGE)),
    case("page-tokenizer", "a page of a web site", file("tokenizer.json", PAGE)),
    case("page-config", "a page of a web site", file("config.json", PAGE)),
    case("mark-config", "a byte order mark", marked(config()), equals="plain"),
    case("mark-tokenizer", "a byte order mark", marked(tokenizer()), equals="plain"),
    case("utf-16-config", "UTF-16", file("config.json", dump(CONFIG).decode().encode("utf-16"))),
    case("empty-weights", "an empty file", file("model.safetensors", b"")),
    case("empty-tokenizer", "an empty file", file("tokenizer.json", b"")),
    case("empty-config", "an empty file", file("config.json", b"")),
    case("zip-weights", "a pickle of PyTorch under another name", file("model.safetensors", ZIP)),
    case("gguf-weights", "a GGUF file under another name", file("model.safetensors", gguf()["model.gguf"][:4000])),
    case("half-weights", "a truncated download", file("model.safetensors", safetensors(TENSORS)[:20000])),
    case("pickle-only", "weights as a pickle only", file("pytorch_model.bin", ZIP), without=["model.safetensors"]),
    case("adapter", "a LoRA adapter", file("adapter_config.json", dump({"peft_type": "LORA", "r": 8})), file("adapter_model.safetensors", safetensors({})), without=["config.json", "model.safetensors"]),
    case("adapter-beside-weights", "a LoRA adapter beside the base model", file("adapter_config.json", dump({"peft_type": "LORA", "r": 8}))),
    case("compiled", "torch.compile's prefix", weights(rename=lambda name: "_orig_mod." + name), equals="plain"),
    case("peft-prefix", "peft's prefix", weights(rename=lambda name: "base_model.model." + name), equals="plain"),
    case("index-without-shard", "a shard is missing", file("model.safetensors.index.json", dump({"metadata": {}, "weight_map": {name: "model-00001-of-00002.safetensors" for name in TENSORS}})), without=["model.safetensors"]),
]
WEIGHT_CASES = [
    case("padded-vocabulary", "rows of zeros after the last token", config(vocab_size=VOCABULARY + 24), weights(padded(24))),
    case("holes", "rows of zeros among the tokens", weights(holes)),
    case("scale-1-1", "scales of shape [1, 1]", weights(scales([1, 1])), equals="plain"),
    case("scale-scalar", "scales without a dimension", weights(scales([])), equals="plain"),
    case("reciprocal-scales", "the scales are reciprocals", weights(reciprocal)),
    case("lost-quantization", "ternary masters of a Llama whose config lost its quantization_config", LOST, masters()),
    case("not-ternary", "an ordinary Llama", LOST, masters(noise=0.05)),
    case("large-values", "values that an f16 cache cannot hold", weights(large_values)),
    case("overflow", "every logit is NaN", weights(overflow)),
    case("input-scale", "a scale of activations", weights(model__layers__0__mlp__down_proj__input_scale=("BF16", [1], bf16([0.5])))),
    case("bias", "a bias", weights(model__layers__0__self_attn__q_proj__bias=("BF16", [HIDDEN], bf16([0.5] * HIDDEN)))),
    case("query-norm", "a norm that BitNets do not have", weights(model__layers__0__self_attn__q_norm__weight=("BF16", [HEAD], bf16([1.0] * HEAD)))),
]
GGUF_CASES = [
    gguf_case("gguf", "the base model as a GGUF file", gguf(), equals="plain"),
    gguf_case("gguf-relu2-key", "the key decides the activation", gguf(architecture="bitnet", A__hidden_activation="relu2"), equals="plain"),
    gguf_case("gguf-bitnet", "without the key", gguf(architecture="bitnet"), equals="activation-silu"),
    gguf_case("gguf-gelu-key", "an activation that no BitNet has", small_gguf(architecture="bitnet", A__hidden_activation="gelu")),
    gguf_case("gguf-linear-1", "linear scaling by 1", gguf(A__rope__scaling__type="linear", A__rope__scaling__factor=1.0), equals="plain"),
    gguf_case("gguf-linear-2", "linear scaling by 2", small_gguf(A__rope__scaling__type="linear", A__rope__scaling__factor=2.0)),
    gguf_case("gguf-old-linear-2", "linear scaling at its old key", small_gguf(A__rope__scale_linear=2.0)),
    gguf_case("gguf-softcap", "logits are capped", small_gguf(A__final_logit_softcapping=30.0)),
    gguf_case("gguf-harmless-key", "a key that changes nothing", gguf(general__quantized_by="somebody"), equals="plain"),
    gguf_case("gguf-bos-minus-one", "first token -1: none", gguf(tokenizer__ggml__bos_token_id=-1, tokenizer__ggml__add_bos_token=False), equals="plain"),
    gguf_case("gguf-eom", "a third end token, the first that is generated", small_gguf(tokenizer__ggml__eot_token_id=20, tokenizer__ggml__eom_token_id=64)),
    gguf_case("gguf-no-bos", "add_bos_token is false", small_gguf(tokenizer__ggml__add_bos_token=False)),
    gguf_case("gguf-adds-eos", "add_eos_token is true", small_gguf(tokenizer__ggml__add_eos_token=True)),
    gguf_case("gguf-no-merges", "no merges", small_gguf(remove=["tokenizer.ggml.merges"])),
    gguf_case("gguf-layers-too-few", "fewer layers than the weights have", gguf(A__block_count=1)),
    gguf_case("gguf-iq2-bn", "a type that no reader here knows", small_gguf(other_type)),
    gguf_case("gguf-bias", "a bias of the queries only", small_gguf(with_bias)),
    gguf_case("gguf-bias-short", "a bias of the wrong length", small_gguf(with_short_bias)),
    gguf_case("gguf-pointer", "a git-lfs pointer", file("model.gguf", POINTER)),
    gguf_case("gguf-page", "a page of a web site", file("model.gguf", PAGE)),
    gguf_case("gguf-is-safetensors", "a safetensors file under another name", file("model.gguf", safetensors(TENSORS)[:4000])),
    gguf_case("gguf-half", "a truncated download", file("model.gguf", gguf()["model.gguf"][:20000])),
    gguf_case("gguf-split", "two parts", split(), model="model-00001-of-00002.gguf", equals="plain"),
    gguf_case("gguf-split-second", "two parts, of which the second was named", split(), model="model-00002-of-00002.gguf"),
    gguf_case("gguf-split-missing", "the second part is missing", split(parts=[0]), model="model-00001-of-00002.gguf"),
]

TWO = b"""analysis = "Are two models of one name kept apart? Refuted if not."

[[experiment]]
name = "two"
models = ["A/m", "B/m"]
texts = "texts"
context = 24
horizon = 8
budgets = [1.0, 0.5]
policies = ["full", "uniform+random", "uniform+recency", "uniform+oracle"]
"""
SENTENCE = "the hat on the hill is in the sand and the ant on the hat is thin. "


def texts(**more):
    pair = {"texts/a.txt": SENTENCE.encode(), "texts/b.txt": (SENTENCE[20:] + SENTENCE).encode()}
    return {**pair, **{f"texts/{name}": content for name, content in more.items()}}


def two_models():
    parts = {"A/m": {}, "B/m": config(rope_theta=500.0)}
    base = {"config.json": dump(CONFIG), "model.safetensors": safetensors(TENSORS), **tokenizer()}
    return {f"{folder}/{name}": content for folder, changed in parts.items() for name, content in {**base, **changed}.items()}


ONE = TWO.replace(b'["A/m", "B/m"]', b'["."]')
LONG = ONE.replace(b"context = 24\n", b"")
DEFINITION_CASES = [
    case("two-models-of-one-name", "two folders of one name", two_models(), texts(), file("two.toml", TWO), commands=[["run", "two.toml", "--out", "out", "--json"]]),
    case("hidden-files", "hidden files among the texts", texts(**{"._a.txt": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1"}), file("one.toml", ONE), commands=[["run", "one.toml", "--out", "out", "--json"]]),
    case("texts-too-long", "texts longer than the model reads", texts(**{"c.txt": (SENTENCE * 8).encode()}), commands=[["profile", "--model", ".", "--texts", "texts"], ["plan", "--model", ".", "--text", "texts/c.txt", "--policy", "uniform+recency", "--budget", "0.5"]]),
    case("texts-page", "a page of a web site among the texts", texts(**{"c.txt": b"\xff\xfe\0\0"}), commands=[["profile", "--model", ".", "--texts", "texts"]]),
]
CASES = ROPE_CASES + CONFIG_CASES + TOKENIZER_CASES + TEMPLATE_CASES + FILE_CASES + WEIGHT_CASES + GGUF_CASES + DEFINITION_CASES


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main():
    for folder in ("base", "cases"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    base = {"config.json": dump(CONFIG), "model.safetensors": safetensors(TENSORS), **tokenizer(), **tokenizer_config()}
    write(HERE / "base", base)
    names = [one["name"] for one in CASES]
    assert len(set(names)) == len(names), "two cases have one name"
    for one in CASES:
        write(HERE / "cases" / one["name"], one.pop("files"))
    lines = ",\n".join(json.dumps(one) for one in CASES)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
