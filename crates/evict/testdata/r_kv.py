"""What R-KV keeps by the formulas of its code, for grouped queries: r_kv.json beside this file.

    requirements: torch==2.9.1
    made with:    Python 3.11 on x86-64 Linux, CPU, float32
    run:          python r_kv.py

The formulas are those of https://github.com/Zefan-Cai/R-KV, commit d15c976: `compute_attention_scores` and `cal_similarity`
of rkv/utils.py, and `R1KV.update_kv` of rkv/compression/r1_kv.py with its defaults, window 8, kernel 7 and lambda 0.07. The
script writes them again in its own words. Queries and keys are drawn at random and rounded to three decimals. Every key
has a near-duplicate: if a key had none, that code would spare the first token, which bitkv does not do.
"""

import json
from pathlib import Path

import torch

HERE = Path(__file__).parent
KV_HEADS, GROUP, TOKENS, DIM = 2, 3, 60, 4
WINDOW, KERNEL, LAMBDA, THRESHOLD = 8, 7, 0.07, 0.5


def importance(queries, keys):
    """Of the tokens before the window, `[kv_heads, tokens - window]`; `queries` are the last WINDOW ones."""
    products = torch.einsum("hgqd,htd->hgqt", queries, keys[:, :-WINDOW]) / DIM**0.5
    attention = products.amax(dim=1).softmax(dim=-1).mean(dim=1)
    return torch.nn.functional.max_pool1d(attention, KERNEL, stride=1, padding=KERNEL // 2)


def redundancy(keys):
    """Of each token, `[kv_heads, tokens]`: the softmax of the mean cosine; each key spares its latest near-duplicate."""
    unit = keys / (keys.norm(dim=-1, keepdim=True) + 1e-8)
    cosines = unit @ unit.transpose(1, 2)
    cosines.diagonal(dim1=1, dim2=2).zero_()
    for head in cosines:
        for row in head:
            near = (row > THRESHOLD).nonzero()
            assert len(near) > 0, "a key has no near-duplicate: draw other keys"
            row[near[-1]] = 0
    return cosines.mean(dim=1).softmax(dim=-1)


def main():
    torch.manual_seed(3)
    queries = (torch.randn(KV_HEADS, GROUP, WINDOW, DIM) * 2).mul(1000).round() / 1000
    keys = torch.randn(KV_HEADS, TOKENS, DIM).mul(1000).round() / 1000
    score = LAMBDA * importance(queries, keys) - (1 - LAMBDA) * redundancy(keys)[:, :-WINDOW]
    window = list(range(TOKENS - WINDOW, TOKENS))
    kept = {
        budget: [sorted(row.topk(budget - WINDOW).indices.tolist()) + window for row in score]
        for budget in [12, 20, 30, 45]
    }
    rounded = lambda x: [round(v, 3) for v in x.flatten().tolist()]
    document = {
        "kv_heads": KV_HEADS,
        "group": GROUP,
        "tokens": TOKENS,
        "head_dim": DIM,
        "window_queries": [rounded(q) for q in queries.flatten(0, 1)],
        "keys": [rounded(k) for k in keys],
        "kept": kept,
    }
    (HERE / "r_kv.json").write_text(json.dumps(document, separators=(",", ":")).replace("],[", "],\n[") + "\n")


main()
