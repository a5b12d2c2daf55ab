"""Prefill and decode of a model in transformers: dense bf16 layers of the shape, random numbers, on the CPU.

It is a separate process, so that its largest memory can be measured. Prints one JSON document.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import transformers
from transformers import BitNetConfig, BitNetForCausalLM, DynamicCache, LlamaConfig, LlamaForCausalLM

SHAPE = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
]


def model(config, attention):
    """A Llama, or a BitNet whose weights are unpacked to bf16: what transformers multiplies on a CPU. The values of the
    weights do not change the time."""
    shape = {key: config[key] for key in SHAPE if key in config}
    kind = (LlamaForCausalLM, LlamaConfig) if config["architectures"] == ["LlamaForCausalLM"] else (BitNetForCausalLM, BitNetConfig)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("meta"):
        made = kind[0](kind[1](**shape, attn_implementation=attention))
    made = made.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for name, weights in made.named_parameters():
        if "norm" in name:
            weights.data.fill_(1.0)
        else:
            # Uniform numbers, because normal ones take a minute; the scale keeps the residual stream of order one.
            weights.data.uniform_(-1, 1).mul_(1.7 / weights.shape[-1] ** 0.5)
    made.tie_weights()
    # Frequencies are not parameters, and were made without memory.
    made.model.rotary_emb = type(made.model.rotary_emb)(made.config)
    return made


def prefill(made, tokens):
    """Reads a prompt into an empty cache, with the logits after its last token."""
    cache = DynamicCache()
    made(input_ids=tokens, past_key_values=cache, logits_to_keep=1)
    return cache


def decode(made, tokens):
    """Reads one token after another into an empty cache, with logits after each."""
    cache = DynamicCache()
    for token in tokens[0]:
        made(input_ids=token.view(1, 1), past_key_values=cache)


def entropies(made, tokens):
    """The entropy of every head and query position, in bits, from the attention that the model returns."""
    output = made.model(input_ids=tokens, past_key_values=DynamicCache(), output_attentions=True)
    found = []
    for attention in output.attentions:
        p = attention.float()
        found.append(-(p * torch.log2(p.clamp_min(1e-10))).sum(-1))
    return torch.stack(found)


@torch.inference_mode()
def timed(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--prefill", type=int, default=0)
    parser.add_argument("--decode", type=int, default=0)
    parser.add_argument("--entropy", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Weights are not made in inference mode: products with such weights are thirty times slower.
    config = json.loads(options.config.read_text())
    made = model(config, options.attention)

    def ids(count):
        return torch.tensor([[(i * 7919 + 13) % config["vocab_size"] for i in range(count)]])

    rows = []
    for test, count, run in [
        ("prefill", options.prefill, prefill),
        ("decode", options.decode, decode),
        ("entropy", options.entropy, entropies),
    ]:
        if count:
            timed(lambda: run(made, ids(8)))
            if test != "decode":
                timed(lambda: run(made, ids(count)))
            rows.append({"test": test, "tokens": count, "seconds": timed(lambda: run(made, ids(count)))})
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    print(json.dumps({"versions": versions, "rows": rows}))


if __name__ == "__main__":
    main()
