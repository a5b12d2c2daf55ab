"""Writes fixture.json: statistics of scored tokens, computed by numpy from random logits.

A test of crates/lab compares its own values with it. Run once, with numpy 2.4.6:

    python3 -m venv venv && venv/bin/pip install numpy==2.4.6
    venv/bin/python testdata/predictions/make_fixture.py
"""

import json
import pathlib

import numpy as np

TOKENS, CLASSES, SEED = 90, 8, 20260301
QUANTILES = {"median": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9, "max": 100}


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def percentile(values, fraction):
    """Returns a quantile as the lambda `percentile` in llama.cpp's perplexity.cpp does."""
    values = np.sort(values)
    at = fraction * (len(values) - 1)
    below = int(at)
    above = min(below + 1, len(values) - 1)
    return (1 - (at - below)) * values[below] + (at - below) * values[above]


def main():
    assert np.__version__ == "2.4.6", np.__version__
    random = np.random.default_rng(SEED)
    full = random.normal(0, 2, (TOKENS, CLASSES)).round(2)
    # Few tokens change much, as after an eviction.
    change = random.normal(0, 1, (TOKENS, CLASSES)) * random.gamma(0.3, 1, (TOKENS, 1))
    compressed = (full + change).round(2)
    targets = random.integers(0, CLASSES, TOKENS)
    # The Rust test reads f32, and so does this script.
    log_p, log_q = (log_softmax(x.astype(np.float32).astype(np.float64)) for x in (full, compressed))
    kl = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    rows = np.arange(TOKENS)
    dp = np.exp(log_q[rows, targets]) - np.exp(log_p[rows, targets])
    quantiles = {name: np.percentile(kl, part) for name, part in QUANTILES.items()}
    for name, part in QUANTILES.items():
        assert abs(quantiles[name] - percentile(kl, part / 100)) < 1e-14, name
    expected = {
        "kl": kl.mean(),
        **quantiles,
        "agreement": (log_p.argmax(axis=1) == log_q.argmax(axis=1)).mean(),
        "dp_mean": dp.mean(),
        "dp_rms": np.sqrt(np.square(dp).mean()),
        "nll": -log_q[rows, targets].mean(),
        "nll_difference": (log_p - log_q)[rows, targets].mean(),
    }
    fixture = {
        "classes": CLASSES,
        "full": full.flatten().tolist(),
        "compressed": compressed.flatten().tolist(),
        "targets": targets.tolist(),
        "expected": {name: float(value) for name, value in expected.items()},
    }
    path = pathlib.Path(__file__).with_name("fixture.json")
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


main()
