#!/usr/bin/env python3
"""Writes references.json, the values that crates/stats/tests/references.rs compares with.

usage: python3 -m venv VENV && VENV/bin/pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0
       VENV/bin/python testdata/statistics/make.py

Everything is computed by SciPy and statsmodels. The interval of a mean has no implementation there: it is
computed from scipy's skewness, kurtosis and t distribution, and Hall's transformation is inverted by a search for
the root, where bitkv has a formula.
"""

import json
from pathlib import Path

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired


def samples(rng):
    """Differences of several shapes: normal, skewed, with ties and zeros, with one dominant value, and tiny."""
    yield rng.normal(0.3, 1, 5)
    yield rng.normal(-0.02, 0.1, 8)
    yield np.exp(rng.normal(-4, 0.6, 10)) - 0.01
    yield -np.exp(rng.normal(0, 1.2, 22))
    yield np.round(rng.normal(0.2, 1, 22), 0)
    yield np.append(rng.normal(0, 0.001, 21), 0.2)
    yield np.append(np.zeros(21), 0.25)
    yield 1e-7 * rng.normal(1, 1, 30)
    yield rng.normal(0, 1, 50)


def hall(s, skewness, n):
    """Hall's transformation of the distance of the mean in standard deviations."""
    return s + skewness * s**2 / 3 + skewness**2 * s**3 / 27 + skewness / (6 * n)


def interval_and_p(values):
    """The interval of the mean, and the p-value of a mean of 0."""
    n, mean, deviation = len(values), values.mean(), values.std(ddof=1)
    skewness, kurtosis = stats.skew(values, bias=False), stats.kurtosis(values, bias=False)
    freedom = 2 / (2 / (n - 1) + max(kurtosis, 0) / n)
    reach = stats.t.ppf(0.975, freedom) / np.sqrt(n)
    root = lambda level: optimize.brentq(lambda s: hall(s, skewness, n) - level, -1e4, 1e4, xtol=1e-15, rtol=1e-14)
    low = min(mean - deviation * reach, mean - deviation * root(reach))
    high = max(mean + deviation * reach, mean - deviation * root(-reach))
    ratio = stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, freedom)
    p = [2 * min(stats.t.cdf(t, n - 1), stats.t.sf(t, n - 1))
         for t in ratio * np.sqrt(n) * np.array([mean / deviation, hall(mean / deviation, skewness, n)])]
    return {"low": low, "high": high, "p": max(p)}


def of_sample(values):
    """The references of one sample of differences."""
    margin = float(np.abs(values).mean())
    p, *_ = ttost_paired(values, np.zeros(len(values)), -margin, margin)
    ninety = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    effect = TTestPower().solve_power(nobs=len(values), alpha=0.05, power=0.8) * values.std(ddof=1)
    return {
        "values": list(values),
        "interval": interval_and_p(values),
        "equivalence": {"margin": margin, "p": p, "low": ninety.low, "high": ninety.high},
        "minimum_detectable_effect": effect,
        "quantiles": [[q, np.quantile(values, q)] for q in (0, 0.025, 0.1, 0.5, 0.77, 1)],
    }


def changes(lost, gained):
    """McNemar's one-sided p-value. statsmodels has the two-sided one, which is twice as large unless it is 1."""
    p = stats.binomtest(lost, lost + gained, alternative="greater").pvalue if lost + gained else 1.0
    two_sided = mcnemar([[0, lost], [gained, 0]], exact=True).pvalue if lost > gained else None
    assert two_sided is None or abs(two_sided - min(2 * p, 1)) < 1e-12
    return {"lost": lost, "gained": gained, "p": p}


def main():
    """Writes all references."""
    rng = np.random.default_rng(20261130)
    flips = [(0, 3), (1, 0), (3, 9), (7, 2), (12, 12), (30, 11), (140, 95), (1000, 905), (20000, 19500), (400000, 401000)]
    p_values = [list(rng.uniform(0, 1, 1)), [0.01, 0.04, 0.03, 0.005], list(rng.uniform(0, 0.2, 12) ** 2), [0.02, 0.02, 0.9]]
    tied = lambda n, k: [float(v) for v in rng.integers(0, k, n)]
    pairs = [(tied(12, 4), tied(12, 5)), (tied(30, 3), list(rng.normal(0, 1, 30))), (list(rng.normal(0, 1, 9)), list(rng.normal(0, 1, 9)))]
    references = {
        "mcnemar": [changes(*pair) for pair in flips],
        "holm": [{"p": p, "adjusted": list(multipletests(p, method="holm")[1])} for p in p_values],
        "correlation": [
            {"x": x, "y": y, "pearson": stats.pearsonr(x, y).statistic, "spearman": stats.spearmanr(x, y).statistic}
            for x, y in pairs
        ],
        "samples": [of_sample(values) for values in samples(rng)],
    }
    path = Path(__file__).with_name("references.json")
    path.write_text(json.dumps(references, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
