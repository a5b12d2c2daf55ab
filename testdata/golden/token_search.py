"""Tokens whose forward pass keeps away from every rounding boundary, and whose greedy continuation does too."""

import numpy as np

CONTINUATION = 16


MARGIN_CODE = 3e-4  # in int8 codes, at the positions of the tokens
MARGIN_F16 = 4e-3  # of what enters an f16 cache, in half-precision ulps, at the positions of the tokens
MARGIN_CODE_GREEDY = 5e-5  # in int8 codes, at the positions of the continuation
MARGIN_TOP = 0.03  # from the largest logit of a greedy step to the second, relative to the rms of the logits


class Search:
    """Depth first over the tokens, each from a shuffled vocabulary.

    evaluators  in float64, without and with the f16 cache, side by side; they hold the tokens tried at present
    distinct    the least number of different tokens in the continuation
    avoid       tokens that may not be in it: those that end a text
    """

    def __init__(self, rng, evaluators, length, distinct, avoid):
        self.rng, self.evaluators, self.length = rng, evaluators, length
        self.distinct, self.avoid = distinct, avoid
        self.tried = 0

    def choose(self, tokens=()):
        """(tokens, their greedy continuation), or None."""
        if len(tokens) == self.length:
            return self.finish(tokens)
        for token in self.rng.permutation(self.evaluators[0].shape.vocab).tolist():
            if self.append(token):
                found = self.choose((*tokens, token))
                if found:
                    return found
                for e in self.evaluators:
                    e.undo()
        return None

    def append(self, token):
        """Steps every evaluator, unless one comes too near to a boundary."""
        for i, e in enumerate(self.evaluators):
            e.step(token)
            if e.margin["code"] < MARGIN_CODE or (e.f16_kv and e.margin["f16"] < MARGIN_F16):
                for stepped in self.evaluators[:i + 1]:
                    stepped.undo()
                return False
        return True

    def finish(self, tokens):
        """The f16 cache moves a tenth of all int8 codes: a continuation that it does not change does not hang on a
        single one."""
        self.tried += 1
        greedy = self.continuation(self.evaluators[0])
        if greedy and all(self.continuation(e) == greedy for e in self.evaluators[1:]):
            return list(tokens), greedy
        return None

    def continuation(self, e):
        """The greedy tokens, or None.  The last is chosen but not run."""
        logits, before, greedy = e.seen["logits"], len(e.margins), []
        while top_gap(logits) > MARGIN_TOP and logits.argmax() not in self.avoid:
            greedy.append(int(logits.argmax()))
            if len(greedy) == CONTINUATION:
                break
            logits = e.step(greedy[-1])
            if e.margin["code"] < MARGIN_CODE_GREEDY:
                break
        e.undo(len(e.margins) - before)
        return greedy if len(greedy) == CONTINUATION and len(set(greedy)) >= self.distinct else None


def top_gap(logits):
    second, first = np.partition(logits, -2)[-2:]
    return (first - second) / np.sqrt(np.mean(logits * logits))
