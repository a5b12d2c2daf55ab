"""What transformers continues prompts with, on the weights of the GGUF file: crates/models/testdata/smollm2.json.

    requirements: ../kvpress-end-to-end/requirements.txt
    run:          python experiments/smollm2/greedy.py [GGUF]  (a minute on one thread)

fetch.sh writes the GGUF file. transformers runs the dequantised weights in float32. The lead of a token is its logit
minus the second largest, divided by the range of the logits. A prompt with a lead below LEAST is refused, because
another order of summation might choose the other token.
"""

import argparse
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path

import smollm2
import torch
from transformers import DynamicCache

OUT = smollm2.ROOT / "crates/models/testdata/smollm2.json"
TOKENS = 32
LEAST = 1e-4

TEXTS = [
    "The three largest cities of France are",
    "Once upon a time, in a village by the sea, there lived",
    "   Three spaces before, and two after.  ",
    "Trailing newline:\n",
    "Numbers: 1, 2, 3, 5, 8, 13, 21,",
    "In 1969, 12345678 people watched; pi is 3.14159, and x² + y² = ½ of ١٢٣.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "#include <stdio.h>\n\nint main(void) {\n\tprintf(\"%d\\n\", 42);\n",
    "SELECT name, COUNT(*) FROM orders WHERE",
    "Die Hauptstadt von Österreich ist Wien, und",
    "El perro corre por el parque y",
    "日本の首都は東京です。",
    "Привет, как дела?",
    "Party time! 🎉🎂👩‍👩‍👧‍👦 Everyone",
    "I'm sure they've said WE'LL DON'T it's 'quoted' and she'd",
    "# Shopping list\n\n- eggs\n- milk\n\n\n\n- bread\n",
]

LONG = (
    "The lighthouse keeper wrote in her log every evening. On Monday the wind came from the north and the supply boat did "
    "not arrive. On Tuesday she repaired the lamp with a piece of wire. On Wednesday two fishermen knocked at the door and "
    "asked for water, and they told her that the harbour had been closed since the storm. On Thursday the sea was calm "
    "again. She counted the barrels of oil in the cellar and found that eleven of the fourteen were empty. On Friday"
)

CHATS = [
    [{"role": "user", "content": "Why is the sky blue?"}],
    [{"role": "user", "content": "Write a Python function that reverses a list."}],
    [
        {"role": "system", "content": "You are a patient teacher."},
        {"role": "user", "content": "What is 17 + 25?"},
        {"role": "assistant", "content": "17 + 25 is 42."},
        {"role": "user", "content": "  Explain step by step how to add 123 and 456. 🤔 "},
    ],
]


@torch.inference_mode()
def continued(model, ids):
    """The greedy tokens, and their smallest lead as they were chosen and in one pass over all of them."""
    cache, read, chosen, rows = DynamicCache(), torch.tensor([ids]), [], []
    for _ in range(TOKENS):
        rows.append(model(read, past_key_values=cache).logits[0, -1])
        chosen.append(rows[-1].argmax().item())
        read = torch.tensor([[chosen[-1]]])
    at_once = model(torch.tensor([ids + chosen[:-1]])).logits[0, len(ids) - 1 :]
    if at_once.argmax(-1).tolist() != chosen:
        raise ValueError("one pass over all tokens has other greedy tokens")
    return chosen, min(lead(torch.stack(rows)), lead(at_once))


def lead(logits):
    first, second = logits.topk(2).values.unbind(-1)
    return ((first - second) / (logits.max(-1).values - logits.min(-1).values)).min().item()


def with_short_lists(text):
    """The document with every list of numbers on one line."""
    return re.sub(r"\[\n[\d,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", type=Path, nargs="?", default=smollm2.GGUF)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    path = options.gguf.resolve()
    if smollm2.sha256(path) != smollm2.SHA256:
        raise SystemExit(f"{path} is not the file that fetch.sh writes")
    tokenizer, model = smollm2.tokenizer(path), smollm2.model(path)
    ends = {smollm2.value(path, "tokenizer.ggml.eos_token_id"), tokenizer.token_to_id("<|endoftext|>")}

    prompts = [{"chat": False, "text": text} for text in [*TEXTS, LONG]]
    prompts += [{"chat": True, "messages": chat, "text": smollm2.chat(path, chat)} for chat in CHATS]
    for prompt in prompts:
        ids = smollm2.encode(tokenizer, prompt["text"])
        chosen, least = continued(model, ids)
        print(f"{least:.1e}  {len(ids):3}  {prompt['text'][-30:]!r} -> {tokenizer.decode(chosen, False)!r}", flush=True)
        if least < LEAST:
            raise SystemExit("the lead of a token is too small: choose another prompt")
        if ends & set(chosen):
            raise SystemExit("the continuation ends: choose another prompt")
        continuation = tokenizer.decode(chosen, False)
        prompt |= {"ids": ids, "greedy": chosen, "continuation": continuation, "smallest_lead": least}

    names = ["torch", "transformers", "tokenizers", "gguf", "jinja2"]
    found = {
        "gguf": path.name,
        "sha256": smollm2.SHA256,
        "versions": {name: version(name) for name in names} | {"python": platform.python_version()},
        "weights": "every weight in transformers equals gguf.quants.dequantize, bit for bit",
        "adds_first_token": smollm2.value(path, "tokenizer.ggml.add_bos_token"),
        "least_lead_allowed": LEAST,
        "transformers_tokenizer": smollm2.differences(path, [prompt["text"] for prompt in prompts]),
        "prompts": prompts,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(with_short_lists(json.dumps(found, indent=1, ensure_ascii=False)) + "\n")


if __name__ == "__main__":
    main()
