"""The kvpress side: what each press keeps of a context, and the KL of the text after it, in transformers in float32.

run.sh runs this and compare.py. Every finished cell is a line of target/kvpress-end-to-end/cells.jsonl, and is not
measured again. README.md says what is measured.
"""

import argparse
import copy
import json
import logging
import sys
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import cells
import numpy as np
from cells import FOLDER, PRESSES, RATIOS, ROOT, TEXTS

sys.path += [str(ROOT / "experiments/smollm2"), str(ROOT / "experiments/peers")]
import smollm2
import torch
from peer import check_runs_as_a_bitnet, fitting_mask
from presses import EAGER, HEAD_WISE, make
from tokenizers import Tokenizer
from torch.nn.functional import log_softmax
from transformers import AutoModelForCausalLM, DynamicCache

# kvpress warns at every cell of models that are not on its list, such as BitNets.
logging.getLogger("kvpress").setLevel(logging.ERROR)

PACKAGES = ["torch", "transformers", "kvpress", "gguf"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="smollm2, its .gguf file, tiny-gqa, or a BitNet's folder")
    parser.add_argument("--context", type=int, default=1024, help="tokens in the cache when it is compressed")
    parser.add_argument("--horizon", type=int, default=127, help="tokens that are read after that")
    parser.add_argument("--texts", nargs="+", default=TEXTS, choices=TEXTS, metavar="TEXT")
    parser.add_argument("--presses", nargs="+", default=PRESSES, choices=PRESSES, metavar="PRESS")
    parser.add_argument("--ratios", nargs="+", type=float, default=RATIOS, metavar="RATIO")
    parser.add_argument(
        "--cache",
        choices=["float32", "float16"],
        default="float32",
        help="float16 rounds keys and values as bitkv's f16 cache does; all arithmetic stays float32",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FOLDER)
    return parser.parse_args()


class RoundedCache(DynamicCache):
    """A cache whose keys and values are those of float16, in float32."""

    def update(self, keys, values, *rest, **more):
        return super().update(keys.half().float(), values.half().float(), *rest, **more)


def load(name):
    """The model in transformers, its name, and a function that gives the ids of a text."""
    path = smollm2.GGUF if name == "smollm2" else Path(name)
    if path.suffix == ".gguf":
        if smollm2.sha256(path) != smollm2.SHA256:
            raise SystemExit(f"{path} is not the file that experiments/smollm2/fetch.sh writes")
        path = path.resolve()
        tokenizer = smollm2.tokenizer(path)
        return smollm2.model(path), "smollm2", lambda text: smollm2.encode(tokenizer, text)
    folder = path if path.is_dir() else ROOT / "models" / name
    config = json.loads((folder / "config.json").read_text())
    check_runs_as_a_bitnet(folder, config)
    tokenizer, begin = Tokenizer.from_file(str(folder / "tokenizer.json")), config["bos_token_id"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), folder.name, lambda text: [begin, *tokenizer.encode(text, add_special_tokens=False).ids]


def tokens_of(options, name, encode, text):
    """The ids that both sides read. They are written once, and read from the file ever after."""
    length = options.context + options.horizon + 1
    file = cells.tokens_file(options.out, name, text)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        cells.replace(file, json.dumps(encode((options.out / f"texts/{text}.txt").read_text())))
    ids = json.loads(file.read_text())
    if len(ids) < length:
        raise SystemExit(f"{file} has {len(ids)} tokens, and {length} are needed: use a shorter context")
    return ids[:length]


class Side:
    """A model in transformers with the presses of kvpress."""

    def __init__(self, model, options):
        self.model, self.options = model, options
        for layer in model.model.layers:
            layer.self_attn.register_forward_pre_hook(fitting_mask, with_kwargs=True)

    def begin(self, ids):
        """Takes a text, and measures the full cache."""
        context, horizon = self.options.context, self.options.horizon
        ids = torch.tensor(ids)
        self.context, self.continuation = ids[None, :context], ids[None, context : context + horizon]
        self.targets = ids[context + 1 :]
        self.model.set_attn_implementation("sdpa")
        self.reference = self.continued(self.prefilled(), horizon)

    def prefilled(self):
        cache = DynamicCache() if self.options.cache == "float32" else RoundedCache()
        self.model.model(input_ids=self.context, past_key_values=cache)
        return cache

    def continued(self, cache, piece):
        """Log-probabilities after each token of the continuation, read in pieces of this length, in float64."""
        start, rows = self.options.context, []
        for at in range(0, self.options.horizon, piece):
            read = self.continuation[:, at : at + piece]
            positions = torch.arange(start + at, start + at + read.shape[1])[None]
            rows.append(self.model(input_ids=read, past_key_values=cache, position_ids=positions).logits[0])
        return log_softmax(torch.cat(rows).double(), -1)

    def compressed(self, press, ratio):
        """A cache that the press compressed, and the positions that it kept, `[layers, KV heads, context]`."""
        made, kept = make(press, ratio), []
        compress = made.compress

        def recorded(module, hidden_states, keys, values, attentions, kwargs):
            left = compress(module, hidden_states, keys, values, attentions, kwargs)
            if press in HEAD_WISE:
                kept.append(not_masked(module.masked_key_indices, keys.shape))
            else:
                kept.append(found_among(left, (keys, values)))
            return left

        made.compress = recorded
        self.model.set_attn_implementation("eager" if press in EAGER else "sdpa")
        with made(self.model):
            cache = self.prefilled()
        return cache, np.stack(kept)

    def through(self, cache, press):
        """Log-probabilities through the compressed cache, and the length of the pieces in which they were read.

        What AdaKV removes is masked with one key that all queries of a pass ignore. If there is no such key, kvpress fails, and
        then the continuation is read in pieces of half the length."""
        piece = self.options.horizon
        while True:
            try:
                return self.continued(copy.deepcopy(cache), piece), piece
            except ValueError as error:
                if press not in HEAD_WISE or piece == 1 or "fake keys" not in str(error):
                    raise
                piece = (piece + 1) // 2

    def measured(self, press, ratio):
        """The results of one cell, and the positions kept."""
        started = time.perf_counter()
        cache, kept = self.compressed(press, ratio)
        logits, piece = self.through(cache, press)
        # As in bitkv, a KL that rounding leaves below zero is zero.
        kl = (self.reference.exp() * (self.reference - logits)).sum(-1).clamp(min=0)
        nll = [-rows.gather(1, self.targets[:, None]).mean().item() for rows in (logits, self.reference)]
        results = {
            "kl_nats": kl.mean().item(),
            "agreement": (logits.argmax(-1) == self.reference.argmax(-1)).double().mean().item(),
            "nll_difference": nll[0] - nll[1],
            "full_nll_nats": nll[1],
            "kept_entries": int(kept.sum()),
            "full_entries": kept.size,
            "plan_hash": cells.plan_hash(kept),
            "piece": piece,
            "seconds": time.perf_counter() - started,
        }
        return results, kept


def not_masked(indices, shape):
    _, heads, positions = indices
    kept = np.ones(shape[1:3], bool)
    kept[heads.numpy(), positions.numpy()] = False
    return kept


def found_among(left, full):
    """Which positions of the full keys and values are left. They are found by their content, which must be unique."""
    left, full = (torch.cat(pair, -1)[0].numpy() for pair in (left, full))
    kept = np.zeros(full.shape[:2], bool)
    for head in range(len(full)):
        places = {row.tobytes(): position for position, row in enumerate(full[head])}
        if len(places) != full.shape[1]:
            raise ValueError("two positions have equal keys and values: what is kept is not known")
        kept[head, [places[row.tobytes()] for row in left[head]]] = True
    return kept


@torch.inference_mode()
def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    cells.copy_texts(options.out)
    model, name, encode = load(options.model)
    side, done = Side(model, options), cells.read(options.out)
    versions = {package: version(package) for package in PACKAGES}
    for text in options.texts:
        ids, begun = tokens_of(options, name, encode, text), False
        fixed = {"model": name, "text": text, "context": options.context, "horizon": options.horizon}
        fixed |= {"cache": options.cache, "tokens": sha256(json.dumps(ids).encode()).hexdigest()[:16]}
        for press, ratio in [(press, ratio) for press in options.presses for ratio in options.ratios]:
            cell = fixed | {"press": press, "ratio": ratio}
            if cells.key(cell) in done and cells.kept_file(options.out, cell).exists():
                continue
            if not begun:
                side.begin(ids)
                begun = True
            results, kept = side.measured(press, ratio)
            cells.write_kept(options.out, cell, kept)
            cells.append(options.out, cell | results | {"threads": options.threads, "versions": versions})
            print(f"{text}  {press} {ratio}: KL {results['kl_nats']:.5f}, {results['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
