#!/usr/bin/env python3
"""Writes cases.json: which RoPE base and type transformers reads from a config.json.

pip install transformers==5.23.0; python testdata/rope/make.py
"""

import json
from pathlib import Path

import transformers
from transformers import BitNetConfig, LlamaConfig

VERSION = "5.23.0"
CLASSES = {"BitNetForCausalLM": BitNetConfig, "LlamaForCausalLM": LlamaConfig}
SIZES = dict(vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2,
             num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256)

# What a config.json says about RoPE.
SETTINGS = [
    {},
    {"rope_theta": 12345.0},
    {"rope_theta": 1000042},
    {"rope_scaling": None, "rope_theta": 12345.0},
    {"rope_scaling": {}, "rope_theta": 12345.0},
    {"rope_scaling": {"rope_type": "default", "rope_theta": 12345.0}},
    {"rope_scaling": {"type": "default", "rope_theta": 12345.0}},
    {"rope_scaling": {"rope_type": "default", "rope_theta": 12345.0}, "rope_theta": 777.0},
    {"rope_scaling": {"type": "default"}, "rope_theta": 777.0},
    {"rope_scaling": {"rope_theta": 12345.0}},
    {"rope_scaling": {"type": "linear", "factor": 1.0}, "rope_theta": 12345.0},
    {"rope_scaling": {"rope_type": "linear", "factor": 1, "rope_theta": 12345.0}, "rope_theta": 777.0},
    {"rope_scaling": {"type": "linear", "factor": 1.0}},
    {"rope_parameters": {"rope_theta": 12345.0, "rope_type": "default"}},
    {"rope_parameters": {"rope_theta": 12345.0}},
    {"rope_parameters": {"rope_type": "default"}, "rope_theta": 777.0},
    {"rope_parameters": {"rope_type": "default"}},
    {"rope_parameters": {}, "rope_theta": 777.0},
    {"rope_parameters": None, "rope_theta": 777.0},
    {"rope_parameters": {"rope_theta": 12345.0, "rope_type": "default"}, "rope_theta": 777.0},
    {"rope_parameters": {"rope_theta": 12345.0, "rope_type": "linear", "factor": 1.0}},
    {"rope_parameters": {"rope_theta": 12345.0}, "rope_scaling": {"rope_theta": 999.0, "type": "default"}},
    {"rope_parameters": {"rope_theta": 12345.0}, "rope_scaling": {"type": "default"}, "rope_theta": 777.0},
    {"rope_parameters": {"rope_theta": 12345.0}, "rope_scaling": {}, "rope_theta": 777.0},
    {"rope_parameters": {"rope_theta": 12345.0}, "rope_scaling": None},
    {"rope_parameters": {"rope_theta": 12345.0, "partial_rotary_factor": 1.0}},
    {"layer_types": ["full_attention"] * 2,
     "rope_parameters": {"full_attention": {"rope_theta": 12345.0, "rope_type": "default"},
                         "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}}},
    {"layer_types": ["full_attention"] * 2,
     "rope_parameters": {"full_attention": {"rope_type": "default"}}, "rope_theta": 777.0},
    {"rope_parameters": {"full_attention": {"rope_theta": 12345.0, "rope_type": "default"}}},
    {"rope_parameters": {"full_attention": {"rope_theta": 12345.0}}, "rope_theta": 777.0},
]


def main():
    assert transformers.__version__ == VERSION, transformers.__version__
    cases = []
    for architecture, kind in CLASSES.items():
        for settings in SETTINGS:
            copy = json.loads(json.dumps(settings))
            rope = kind.from_dict({"architectures": [architecture], **SIZES, **copy}).rope_parameters
            case = {"architecture": architecture, "settings": settings,
                    "theta": rope.get("rope_theta"), "type": rope.get("rope_type")}
            if "full_attention" in rope:
                case["full_attention"] = rope["full_attention"]
            cases.append(case)
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    text = f'{{"transformers": "{VERSION}", "cases": [\n{lines}\n]}}\n'
    Path(__file__).with_name("cases.json").write_text(text)


if __name__ == "__main__":
    main()
