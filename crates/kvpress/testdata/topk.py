"""What torch.topk selects of rows with many equal scores: topk.json beside this file.

    requirements: torch==2.9.1
    made with:    Python 3.11 on x86-64 Linux, CPU
    run:          python topk.py

Each case is a row of scores, one decimal digit each or a list of numbers, and the positions that are selected, in the order
in which torch returns them. The rows differ in length, in the number of different scores, and in order: drawn at random,
ascending, descending, in the form of LagKV's scores (ranks of partitions between equal scores), all equal, and in the order
of Musser's "median-of-3 killer", for which every pivot of the selection is a bad one.
"""

import json
import random
from pathlib import Path

import torch

HERE = Path(__file__).parent


def rows():
    draw = random.Random(7)
    for length in [1, 2, 3, 4, 5, 9, 17, 40, 64, 129]:
        for levels in [1, 2, 3, 10]:
            drawn = [draw.randrange(levels) for _ in range(length)]
            yield drawn
            if levels > 1:
                yield sorted(drawn)
                yield sorted(drawn, reverse=True)
    # Sinks, two partitions of 100 ranks in tenths, and a window.
    ranks = [rank // 10 for _ in range(2) for rank in draw.sample(range(100), 100)]
    yield [9] * 4 + ranks + [9] * 60
    # The median of the first, middle and last item is always near the end: the depth limit is reached.
    for half in [64, 200]:
        odd = [k if k % 2 else half + k - 1 for k in range(1, half + 1)]
        yield odd + [2 * k for k in range(1, half + 1)]


def main():
    torch.set_num_threads(1)
    cases = []
    for row in rows():
        scores = torch.tensor(row, dtype=torch.float32)
        for count in sorted({1, 2, len(row) // 5, len(row) // 2, len(row) - 1, len(row)} & set(range(1, len(row) + 1))):
            kept = scores.topk(count).indices.tolist()
            written = "".join(map(str, row)) if max(row) < 10 else row
            cases.append([written, kept])
    text = json.dumps(cases, separators=(",", ":")).replace("]],[", "]],\n[")
    (HERE / "topk.json").write_text(text + "\n")


main()
