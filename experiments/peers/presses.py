"""The presses of the grid, by the names that bitkv writes after `kvpress:`."""

from kvpress import (
    AdaKVPress,
    ChunkKVPress,
    CriticalAdaKVPress,
    CriticalKVPress,
    ExpectedAttentionPress,
    KeyDiffPress,
    KnormPress,
    LagKVPress,
    ObservedAttentionPress,
    PyramidKVPress,
    SnapKVPress,
    StreamingLLMPress,
    TOVAPress,
)

PRESSES = {
    "streaming_llm": StreamingLLMPress,
    "knorm": KnormPress,
    "keydiff": KeyDiffPress,
    "tova": TOVAPress,
    "observed_attention": ObservedAttentionPress,
    "snapkv": SnapKVPress,
    "pyramidkv": PyramidKVPress,
    "chunkkv": lambda: ChunkKVPress(SnapKVPress(), chunk_length=20),
    "expected_attention": ExpectedAttentionPress,
    "lagkv": LagKVPress,
    "critical_snapkv": lambda: CriticalKVPress(SnapKVPress()),
    "critical_expected_attention": lambda: CriticalKVPress(ExpectedAttentionPress(use_vnorm=False)),
    "adakv_snapkv": lambda: AdaKVPress(SnapKVPress()),
    "adakv_knorm": lambda: AdaKVPress(KnormPress()),
    "critical_adakv_snapkv": lambda: CriticalAdaKVPress(SnapKVPress()),
}

# Masks what it removes, head by head, with keys that no query of the continuation attends to.
HEAD_WISE = {"adakv_snapkv", "adakv_knorm", "critical_adakv_snapkv"}

# Reads attention weights, which only the eager implementation returns.
EAGER = {"observed_attention"}

RATIOS = [0.0, 0.5, 0.75, 0.8, 0.9, 0.95]


def make(name, ratio):
    """The press of that name, which removes the share `ratio` of the cache."""
    press = PRESSES[name]()
    press.compression_ratio = ratio
    if name == "chunkkv":
        press.press.compression_ratio = ratio
    return press
