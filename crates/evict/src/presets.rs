//! The presets of this crate: names for complete policies. Most have the settings of a paper that differ from
//! the defaults of this crate.

use crate::Preset;

/// Every preset, in the order of lists. Some have the name of a scorer or an allocator. On its own, such a
/// name means the preset; as a part of ALLOCATOR+SCORER it means the method with the defaults of this crate.
#[rustfmt::skip]
pub(crate) const ALL: &[Preset] = &[
    Preset { name: "streaming-llm", spec: "uniform+recency{recent=0}", source: "Xiao et al. 2023, arXiv:2309.17453: four sinks and the latest tokens" },
    Preset { name: "h2o", spec: "uniform+accumulated-attention{recent-part=0.5,recent=0,sinks=0}", source: "Zhang et al. 2023, arXiv:2306.14048: half of the share is recent; a set for each KV head" },
    Preset { name: "observed-attention", spec: "uniform+accumulated-attention{normalised=true,recent=0,sinks=0}", source: "ObservedAttention of kvpress; of equal scores the later token is kept" },
    Preset { name: "tova", spec: "uniform+tova{recent=0,sinks=0}", source: "Oren et al. 2024, arXiv:2401.06104" },
    Preset { name: "snapkv", spec: "uniform+window-attention{kernel=7,recent=0,sinks=0,smooth='max'}", source: "Li et al. 2024, arXiv:2404.14469, settings for LongBench; a set for each KV head where there is one for each query head there" },
    Preset { name: "pyramidkv", spec: "pyramid{window=8}+window-attention{kernel=7,recent=0,sinks=0,smooth='max',window=8}", source: "Cai et al. 2024, arXiv:2406.02069; within the budget, which the window is added to there" },
    Preset { name: "adakv", spec: "adaptive{floor='linear'}+window-attention{kernel=7,recent=0,sinks=0,smooth='max'}", source: "Feng et al. 2024, arXiv:2407.11550, with the floor of 0.2 for grouped queries; a set for each KV head" },
    Preset { name: "knorm", spec: "uniform{whole-layers=2}+key-norm{recent=0,sinks=0}", source: "Devoto et al. 2024, arXiv:2406.11430; the first two layers are whole as far as the budget has room for that" },
    Preset { name: "keydiff", spec: "uniform+key-diff{recent=0,sinks=0}", source: "Park et al. 2025, arXiv:2504.15364; at once, where prompts are compressed in blocks there" },
    Preset { name: "expected-attention", spec: "adaptive+expected-attention{epsilon=0.01,recent=0}", source: "Devoto et al. 2025, arXiv:2510.00636, as kvpress lists it: heads compete" },
    Preset { name: "lagkv", spec: "uniform+lag{lag=1024,recent=0,sinks=16,skip=16}", source: "Liang et al. 2025, arXiv:2504.04704; below 2064 tokens this is recency after the sinks" },
    Preset { name: "criticalkv", spec: "uniform+critical{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2025, arXiv:2502.03805, upon SnapKV; no sub-norm there" },
    Preset { name: "critical-adakv", spec: "adaptive+critical{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2025, arXiv:2502.03805, upon Ada-KV with kvpress' safeguard" },
    Preset { name: "defensivekv", spec: "adaptive{safeguard=0.0}+defensive{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2026, repository FFY0/DefensiveKV" },
    Preset { name: "layer-defensivekv", spec: "global+defensive{norm='plain',recent=0,sinks=0}", source: "Feng et al. 2026, repository FFY0/DefensiveKV" },
    Preset { name: "kvzip", spec: "global+kvzip{recent=0}", source: "Kim et al. 2025, arXiv:2505.23416" },
    Preset { name: "r-kv", spec: "uniform+r-kv{recent=0,sinks=0}", source: "Cai et al. 2025, arXiv:2505.24133; meant for evictions during decoding" },
    Preset { name: "cake", spec: "cake+cake-attention{recent=0,sinks=0}", source: "Qin et al. 2025, arXiv:2503.12491; at once, where layers are compressed one after the other there" },
    Preset { name: "zigzagkv", spec: "zig-zag+window-attention{recent=0,sinks=0}", source: "Zhong et al. 2024, arXiv:2412.09036" },
    Preset { name: "squeezeattention", spec: "squeeze+accumulated-attention{recent-part=0.5,recent=0,sinks=0}", source: "Wang et al. 2024, arXiv:2404.04793, upon H2O, one of the three that it is joined to there" },
    Preset { name: "headkv", spec: "head-scores+window-attention{kernel=7,recent=0,sinks=0,smooth='max',window=8}", source: "Fu et al. 2024, arXiv:2410.19258; a set for each KV head where there is one for each query head there" },
    Preset { name: "duoattention", spec: "duo+recency{recent=0,sinks=64}", source: "Xiao et al. 2024, arXiv:2410.10819; the last retrieval head keeps what is left of the budget, and below 320 tokens a head all are streaming" },
];
