"""The GGUF file of SmolLM2-135M-Instruct: its tokenizer, its chat template and its weights, without bitkv.

The tokenizer is built from the vocabulary and the merges of the file, with the split that the name `smollm` means.
transformers' own conversion of the file splits and begins texts in another way: see `differences`.
"""

import hashlib
import os
from functools import cache
from pathlib import Path

# Read when tqdm is loaded: no progress bars.
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

ROOT = Path(__file__).resolve().parents[2]
GGUF = ROOT / "target/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# Kinds of tokens in a GGUF file: control tokens such as <|im_start|>, and pieces of text that are never split.
CONTROL, USER_DEFINED = 3, 4

# The layers' tensors in a GGUF file and in transformers.
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}


@cache
def reader(path):
    return GGUFReader(path)


def value(path, key):
    return reader(path).fields[key].contents()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tokenizer(path):
    """Byte-level BPE: every digit alone, then GPT-2's expression. No space and no token is put before a text."""
    names = {key: value(path, f"tokenizer.ggml.{key}") for key in ["model", "pre", "add_space_prefix", "add_bos_token"]}
    if names != {"model": "gpt2", "pre": "smollm", "add_space_prefix": False, "add_bos_token": False}:
        raise ValueError(f"{path} has another tokenizer: {names}")
    tokens, kinds = value(path, "tokenizer.ggml.tokens"), value(path, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in value(path, "tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    digits, words = pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    made.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, kinds):
        if kind == CONTROL:
            made.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif kind == USER_DEFINED:
            made.add_tokens([AddedToken(token, normalized=False)])
    return made


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def chat(path, messages):
    """The messages in the chat template of the file, up to the place where the answer begins."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(value(path, "tokenizer.chat_template"))
    return template.render(messages=messages, add_generation_prompt=True)


def model(path, **options):
    """The model in transformers, in float32, with the weights of the file."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    path = Path(path)
    loaded = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, **options)
    check_weights(loaded, path)
    return loaded.eval()


def check_weights(loaded, path):
    """Raises unless every weight equals the dequantised tensor of the file, bit for bit."""
    heads = {"attn_q": loaded.config.num_attention_heads, "attn_k": loaded.config.num_key_value_heads}
    parameters = dict(loaded.named_parameters())
    for tensor in reader(path).tensors:
        expected = dequantize(tensor.data, tensor.tensor_type)
        *layer, kind, _ = tensor.name.split(".")
        if kind in heads:
            expected = unpermuted(expected, heads[kind])
        name = f"model.layers.{layer[1]}.{LAYER[kind]}.weight" if layer else OUTER[kind]
        found = parameters.pop(name).detach().numpy()
        if found.dtype != np.float32 or not np.array_equal(found, expected):
            raise ValueError(f"transformers has other weights than {path}: {tensor.name}")
    if parameters:
        raise ValueError(f"{path} lacks weights that transformers has: {', '.join(parameters)}")


def unpermuted(rows, heads):
    """The rows of a query or key projection in transformers' order. In a GGUF file, the two rows that RoPE rotates
    together are neighbours; in transformers they are half a head apart."""
    width = rows.shape[0] // heads
    return rows.reshape(heads, width // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def differences(path, texts):
    """What transformers' conversion of the tokenizer does otherwise: properties, and the texts with other ids."""
    path = Path(path)
    ours, theirs = tokenizer(path), AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    inner = theirs.backend_tokenizer
    size = ours.get_vocab_size()
    outside = [token for token, number in inner.get_vocab().items() if number >= size]
    encoded = [(encode(ours, text), theirs(text).input_ids, encode(inner, text)) for text in texts]
    return {
        "class": type(theirs).__name__,
        "pre_tokenizer": repr(inner.pre_tokenizer),
        "tokens_outside_the_vocabulary": sorted(outside),
        "begins_with": theirs.convert_ids_to_tokens(theirs("").input_ids),
        "texts": len(texts),
        "texts_with_other_ids": sum(ours != with_special for ours, with_special, _ in encoded),
        "texts_with_other_ids_without_first_token": sum(ours != without for ours, _, without in encoded),
    }
