//! The presets of this crate: names for complete policies. Most have the settings of a paper that differ from
//! the defaults of this crate.

use crate::Preset;

/// Every preset, in the order of lists. Some have the name of a scorer or an allocator. On its own, such a
/// name means the preset; as a part of ALLOCATOR+SCORER it means the method with the defaults of this crate.
#[rustfmt::skip]
pub(crate) const ALL: &[Preset] = &[
    Preset { name: "streaming-llm", spec: "uniform+recency{recent=0}", source: "Xiao et al. 2023, arXiv:2309.17453: keeps four sinks and the latest tokens" },
    Preset { name: "h2o", spec: "uniform+accumulated-attention{recent-part=0.5,recent=0,sinks=0}", source: "Zhang et al. 2023, arXiv:2306.14048: half of the share is for the latest tokens; one set per KV head" },
    Preset { name: "observed-attention", spec: "uniform+accumulated-attention{normalised=true,recent=0,sinks=0}", source: "ObservedAttention of kvpress; if scores are equal, the later token is kept" },
    Preset { name: "tova", spec: "uniform+tova{recent=0,sinks=0}", source: "Oren et al. 2024, arXiv:2401.06104" },
    Preset { name: "snapkv", spec: "uniform+window-attention{kernel=7,recent=0,sinks=0,smooth='max'}", source: "Li et al. 2024, arXiv:2404.14469, with the settings for LongBench; keeps one set per KV head, the paper one per query head" },
    Preset { name: "pyramidkv", spec: "pyramid{equal-if-short=true,window=8}+window-attention{kernel=7,recent=0,sinks=0,smooth='max',window=8}", source: "Cai et al. 2024, arXiv:2406.02069, with the settings of its code, which keeps about the budget; one set per KV head, the code keeps one per query head by default" },
    Preset { name: "adakv", spec: "adaptive{floor='linear'}+window-attention{kernel=7,recent=0,sinks=0,smooth='max'}", source: "Feng et al. 2024, arXiv:2407.11550, with the floor of 0.2 for grouped queries; one set per KV head" },
    Preset { name: "knorm", spec: "uniform{whole-layers=2}+key-norm{recent=0,sinks=0}", source: "Devoto et al. 2024, arXiv:2406.11430; keeps the first two layers whole if the budget has room for them" },
    Preset { name: "keydiff", spec: "uniform+key-diff{recent=0,sinks=0}", source: "Park et al. 2025, arXiv:2504.15364; compresses the prompt at once, the paper in blocks" },
    Preset { name: "expected-attention", spec: "adaptive+expected-attention{epsilon=0.01,recent=0}", source: "Devoto et al. 2025, arXiv:2510.00636, as kvpress lists it: the heads of a layer compete" },
    Preset { name: "lagkv", spec: "uniform+lag{lag=1024,recent=0,sinks=16,skip=16}", source: "Liang et al. 2025, arXiv:2504.04704; below 2064 tokens it keeps the sinks and the latest tokens" },
    Preset { name: "criticalkv", spec: "uniform+critical{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2025, arXiv:2502.03805, with SnapKV as the first stage and without a sub-norm" },
    Preset { name: "critical-adakv", spec: "adaptive+critical{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2025, arXiv:2502.03805, with Ada-KV and kvpress' safeguard" },
    Preset { name: "defensivekv", spec: "adaptive{safeguard=0.0}+defensive{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2026, repository FFY0/DefensiveKV" },
    Preset { name: "layer-defensivekv", spec: "global+defensive{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2026, repository FFY0/DefensiveKV" },
    Preset { name: "kvzip", spec: "global+kvzip{recent=0}", source: "Kim et al. 2025, arXiv:2505.23416" },
    Preset { name: "r-kv", spec: "uniform+r-kv{group='products',lambda=0.07,recent=0,sinks=0}", source: "Cai et al. 2025, arXiv:2505.24133, with the `lambda` and the maximum over the group of its code; designed for eviction during decoding" },
    Preset { name: "cake", spec: "cake+cake-attention{recent=0,sinks=0}", source: "Qin et al. 2025, arXiv:2503.12491; compresses all layers at once, the paper one after the other" },
    Preset { name: "zigzagkv", spec: "zig-zag+window-attention{recent=0,sinks=0}", source: "Zhong et al. 2024, arXiv:2412.09036" },
    Preset { name: "squeezeattention", spec: "squeeze+accumulated-attention{recent-part=0.5,recent=0,sinks=0}", source: "Wang et al. 2024, arXiv:2404.04793, with H2O, one of the three methods that the paper joins it to" },
    Preset { name: "headkv", spec: "head-scores+window-attention{kernel=7,recent=0,sinks=0,smooth='max',window=8}", source: "Fu et al. 2024, arXiv:2410.19258; keeps one set per KV head, the paper one per query head" },
    Preset { name: "duoattention", spec: "duo+recency{recent=0,sinks=64}", source: "Xiao et al. 2024, arXiv:2410.10819; the last retrieval head keeps the rest of the budget, and below 320 tokens per head all heads are streaming heads" },
];
