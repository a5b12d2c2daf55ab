"""Random checkpoints: the tensors, and the files they are stored in."""

import json

import numpy as np
import torch
from safetensors.torch import save_file
from transformers.integrations.bitnet import pack_weights

from families import Shape

MARGIN_WEIGHT = 2e-3


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


def random_packed(rng, shape):
    codes = rng.choice([-1, 0, 1], size=shape, p=[0.29, 0.42, 0.29]).astype(np.int8)
    return pack_weights(torch.from_numpy(codes))


def random_tensors(rng, config, dtype, embedding=1.0, final_norm=0.3, mixed_signs=False, stored_copy=False,
                   inv_freq=False):
    """Every tensor of a checkpoint, in the order in which they are stored.

    embedding, final_norm  their scale.  A small embedding makes rms_norm_eps count.
    mixed_signs            final norm weights of either sign: without, a tied model mostly repeats its last token
    stored_copy            a tied head that is stored all the same
    inv_freq               the buffer of rotary frequencies that 1bitLLM's class saves
    """
    shape = Shape.of(config)
    put = lambda x: torch.from_numpy(np.asarray(x)).to(dtype).contiguous()
    tensors = {"model.embed_tokens.weight": put(embedding * rng.standard_normal((shape.vocab, shape.hidden))),
               "model.norm.weight": put(random_norm(rng, shape.hidden, final_norm))}
    for layer in range(shape.layers):
        p = f"model.layers.{layer}."
        for name, width in shape.norms():
            tensors[f"{p}{name}.weight"] = put(random_norm(rng, width))
        for name, size in shape.projections().items():
            if shape.scales is None:
                tensors[f"{p}{name}.weight"] = random_master(rng, size, dtype)
                continue
            tensors[f"{p}{name}.weight"] = random_packed(rng, size)
            beta = rng.uniform(0.1, 0.25)
            tensors[f"{p}{name}.weight_scale"] = put([beta if shape.scales == "multiply" else 1.0 / beta])
        if inv_freq:
            half = torch.arange(0, shape.head_dim, 2) / shape.head_dim
            tensors[f"{p}self_attn.rotary_emb.inv_freq"] = 1.0 / shape.theta ** half
    if mixed_signs:
        tensors["model.norm.weight"] *= put(rng.choice([-1.0, 1.0], size=shape.hidden))
    if stored_copy:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    elif not shape.tied:
        tensors["lm_head.weight"] = put(rng.standard_normal((shape.vocab, shape.hidden)))
    return tensors


def save_checkpoint(folder, config, tensors, shards=1):
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    weight_map = {}
    for i, names in enumerate(split(list(tensors), shards)):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({name: tensors[name] for name in names}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def split(names, parts):
    """About equally many names each, cut between a packed matrix and its scale: a reader must not expect them in
    one file."""
    cuts = [0]
    for i in range(1, parts):
        cut = len(names) * i // parts
        while names[cut] != f"{names[cut - 1]}_scale":
            cut += 1
        cuts.append(cut)
    return [names[a:b] for a, b in zip(cuts, [*cuts[1:], len(names)])]
