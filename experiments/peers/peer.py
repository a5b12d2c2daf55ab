"""The grid as kvpress runs it: one prefill per press and ratio, then the continuation through the compressed cache."""

import json
import sys
import time

import torch
from presses import EAGER, HEAD_WISE, PRESSES, RATIOS, make
from tokenizers import Tokenizer
from torch.nn.functional import kl_div, log_softmax, pad
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, LlamaForCausalLM

CONTEXT, HORIZON = 896, 127

SHAPE = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
]


def fitting_mask(attention, _, kwargs):
    """Fits the mask to the layer. transformers makes it for the first layer's cache, and PyramidKV and ChunkKV leave layers
    of other lengths. All cached tokens may be seen; the columns for the tokens that are being read come last."""
    mask, cache = kwargs["attention_mask"], kwargs["past_key_values"]
    if mask is not None:
        cached = cache.get_seq_length(attention.layer_idx)
        among = mask[..., -mask.shape[-2] :]
        kwargs["attention_mask"] = pad(among, (cached, 0), value=mask.dtype == torch.bool)
    return (), kwargs


def random_llama(config, dtype):
    """A floating-point Llama with the shape of a built-in model."""
    torch.manual_seed(0)
    rope = {"rope_type": "default", "rope_theta": config["rope_theta"]}
    shape = {key: config[key] for key in SHAPE}
    llama = LlamaConfig(**shape, rope_parameters=rope, attn_implementation="sdpa")
    return LlamaForCausalLM(llama).to(dtype)


def check_runs_as_a_bitnet(folder, config):
    """Exits unless transformers runs the folder as a BitNet. The layout of bitnet_b1_58-large calls itself a Llama, and
    transformers would load it as one, without its sub-norms."""
    if config["model_type"] != "bitnet":
        sys.exit(
            f"{folder / 'config.json'}: model_type is '{config['model_type']}', which transformers runs without sub-norms, "
            "as another model: use --weights random, or --model tiny-gqa"
        )


class Peer:
    """A model in transformers and the grid that it is asked for."""

    def __init__(self, folder, own_weights, dtype):
        config = json.loads((folder / "config.json").read_text())
        if own_weights:
            check_runs_as_a_bitnet(folder, config)
            self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
        else:
            self.model = random_llama(config, dtype)
        self.model.eval()
        for layer in self.model.model.layers:
            layer.self_attn.register_forward_pre_hook(fitting_mask, with_kwargs=True)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.begin = config["bos_token_id"]
        # The largest piece for which kvpress has so far found, in every cell, a key that all queries of the piece ignore.
        self.piece = HORIZON

    def tokens(self, text):
        """Context and continuation of a text, `[1, CONTEXT]` and `[1, HORIZON]`."""
        ids = [self.begin, *self.tokenizer.encode(text, add_special_tokens=False).ids]
        if len(ids) < CONTEXT + HORIZON:
            raise ValueError(f"{len(ids)} tokens are too few: name a text of {CONTEXT + HORIZON} or more")
        ids = torch.tensor(ids[: CONTEXT + HORIZON])[None]
        return ids[:, :CONTEXT], ids[:, CONTEXT:]

    @torch.inference_mode()
    def grid(self, text):
        """Runs every press at every ratio on one text; returns seconds and processor seconds in total, and each cell."""
        context, continuation = self.tokens(text)
        started, used = time.perf_counter(), time.process_time()
        reference = log_softmax(self.continued(self.prefilled(context), continuation).float(), -1)
        cells = []
        for name in PRESSES:
            self.model.set_attn_implementation("eager" if name in EAGER else "sdpa")
            cells += [self.cell(name, ratio, context, continuation, reference) for ratio in RATIOS]
        self.model.set_attn_implementation("sdpa")
        return time.perf_counter() - started, time.process_time() - used, cells

    def cell(self, name, ratio, context, continuation, reference):
        prefill, clock = [], time.perf_counter
        started = clock()

        def read():
            at = clock()
            with make(name, ratio)(self.model):
                cache = self.prefilled(context)
            prefill.append(clock() - at)
            return cache

        masked = name in HEAD_WISE and ratio > 0
        if masked:
            logits = self.in_pieces(read, continuation)
        else:
            logits = self.continued(read(), continuation)
        logits = log_softmax(logits.float(), -1)
        kl = kl_div(logits, reference, log_target=True, reduction="batchmean").item()
        agreement = (logits.argmax(-1) == reference.argmax(-1)).float().mean().item()
        return {
            "press": name,
            "ratio": ratio,
            "seconds": clock() - started,
            "prefill_seconds": sum(prefill),
            "piece": self.piece if masked else HORIZON,
            "kl_nats": kl,
            "agreement": agreement,
        }

    def prefilled(self, context):
        """A cache of the context. As in kvpress' pipeline, no logits are computed for it."""
        cache = DynamicCache()
        self.model.model(input_ids=context, past_key_values=cache)
        return cache

    def continued(self, cache, tokens, start=CONTEXT):
        """Logits after each of `tokens`, which keep their positions in the text: `[tokens, vocabulary]`."""
        positions = torch.arange(start, start + tokens.shape[1])[None]
        return self.model(input_ids=tokens, past_key_values=cache, position_ids=positions).logits[0]

    def in_pieces(self, read, tokens):
        """As `continued`. kvpress looks for one key that every query of a pass ignores, and fails if they point
        everywhere; then the continuation is read in pieces of half the length, from a new prefill."""
        while True:
            cache = read()
            pieces = zip(tokens.split(self.piece, dim=1), range(0, HORIZON, self.piece))
            try:
                return torch.cat([self.continued(cache, piece, CONTEXT + at) for piece, at in pieces])
            except ValueError as error:
                if self.piece == 1 or "fake keys" not in str(error):
                    raise
                self.piece = (self.piece + 1) // 2
