"""The fixtures: which checkpoint each of them is like, and what it alone tests."""

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Case:
    """`positions` tokens; a greedy continuation with at least `distinct` different ones; `stored`: options of
    `random_models.random_tensors`."""

    name: str
    seed: int
    config: dict
    dtype: torch.dtype = torch.bfloat16
    positions: int = 40
    distinct: int = 8
    shards: int = 1
    stored: dict = field(default_factory=dict)


OFFLINE = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}
ONLINE = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}


def config_2b(hidden, intermediate, heads, quantization, rope):
    return {
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 160,
        "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": 2,
        "num_attention_heads": heads, "num_key_value_heads": 2, "hidden_act": "relu2",
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, **rope, "tie_word_embeddings": True,
        "initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 1, "use_cache": True,
        "torch_dtype": "bfloat16", "quantization_config": quantization,
    }


CONFIG_1BITLLM = {
    "architectures": ["BitnetForCausalLM"], "model_type": "llama", "vocab_size": 160,
    "hidden_size": 64, "intermediate_size": 76, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "hidden_act": "silu",
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None,
    "tie_word_embeddings": True, "attention_bias": False, "initializer_range": 0.02, "bos_token_id": 0,
    "eos_token_id": 1, "pad_token_id": None, "torch_dtype": "float32", "use_cache": True,
    "weight_bits": 1, "input_bits": 8,
}

# num_key_value_heads (5), rms_norm_eps, hidden_act, rope_theta and tie_word_embeddings (false) are the class's.
CONFIG_2B_UNTIED = {
    "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 96, "hidden_size": 160,
    "intermediate_size": 144, "num_hidden_layers": 2, "num_attention_heads": 10, "max_position_embeddings": 256,
    "bos_token_id": 0, "eos_token_id": [1, 2], "torch_dtype": "bfloat16", "quantization_config": OFFLINE,
}

# The heads of 1bitLLM-large in BitNet's class; only what has no usable default is said.
CONFIG_2B_ODD = {
    "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 80, "hidden_size": 192,
    "intermediate_size": 46, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "tie_word_embeddings": True, "quantization_config": ONLINE,
}

# Every row is a multiple of 256 long, which TQ1_0 and TQ2_0 need, and I2_S half of.
CONFIG_2B_ALIGNED = {
    "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 64, "hidden_size": 256,
    "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
    "hidden_act": "relu2", "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16",
    "quantization_config": OFFLINE,
}

# The class is BitNet's, the linear class is not: the scales divide.
CONFIG_2B_DIVIDE = {
    "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "vocab_size": 96, "hidden_size": 64,
    "intermediate_size": 100, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "hidden_act": "relu2", "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "bitnet", "linear_class": "bitlinear"},
}

# Falcon3-1.58bit: heads wider than hidden / heads, three to a group; theta is an integer in the file.
CONFIG_FALCON = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 0,
    "eos_token_id": 1, "head_dim": 36, "hidden_act": "silu", "hidden_size": 96, "initializer_range": 0.02,
    "intermediate_size": 152, "max_position_embeddings": 256, "mlp_bias": False, "model_type": "llama",
    "num_attention_heads": 6, "num_hidden_layers": 2, "num_key_value_heads": 2, "pretraining_tp": 1,
    "quantization_config": {"modules_to_not_convert": None, "quant_method": "bitnet"}, "rms_norm_eps": 1e-6,
    "rope_scaling": None, "rope_theta": 1000042, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "use_cache": True, "vocab_size": 128,
}

# The class is Llama's, the scales multiply; transformers 5's spelling of RoPE and of the dtype.  Every row is a
# multiple of 128 long, which I2_S needs.
CONFIG_LLAMA_MULTIPLY = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 128,
    "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}, "tie_word_embeddings": True,
    "bos_token_id": 0, "eos_token_id": 1, "dtype": "bfloat16",
    "quantization_config": {**OFFLINE, "modules_to_not_convert": ["lm_head"]},
}

# num_key_value_heads (as many as query heads), hidden_act, rms_norm_eps (1e-6) and rope_theta are the class's.
CONFIG_LLAMA_MASTERS = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 80,
    "intermediate_size": 90, "num_hidden_layers": 2, "num_attention_heads": 4, "bos_token_id": 0,
    "eos_token_id": 1, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "quantization_config": {**ONLINE, "modules_to_not_convert": ["lm_head"]},
}

# The head width of 1bitLLM-3B; the head is untied because nothing says that it is tied.
CONFIG_1BITLLM_F16 = {
    "architectures": ["BitnetForCausalLM"], "model_type": "llama", "vocab_size": 64, "hidden_size": 100,
    "intermediate_size": 62, "num_hidden_layers": 2, "num_attention_heads": 1, "hidden_act": "silu",
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_scaling": None, "bos_token_id": 0,
    "eos_token_id": 1, "torch_dtype": "float16", "weight_bits": 1, "input_bits": 8,
}

# A wrong epsilon shows where the norms' inputs are small; the final norm brings the logits back to a few units.
SMALL_EMBEDDING = {"embedding": 0.02, "final_norm": 15.0, "mixed_signs": True}

CASES = [
    Case("packed-2b-style", 20250414, config_2b(128, 192, 8, OFFLINE, {"rope_theta": 500000.0}), positions=48,
         distinct=5),
    # Smaller than the packed one to stay small on disk; RoPE in the spelling that transformers 5 writes, with a
    # theta that is not the class default, so that a reader which misses it fails.
    Case("master-2b-style", 20250415,
         config_2b(96, 116, 6, ONLINE, {"rope_parameters": {"rope_theta": 250000.0, "rope_type": "default"}}),
         distinct=6),
    Case("master-1bitllm-style", 20240329, CONFIG_1BITLLM, dtype=torch.float32, distinct=4),
    Case("packed-falcon-style", 20241217, CONFIG_FALCON),
    Case("packed-2b-untied-sharded", 20250416, CONFIG_2B_UNTIED, positions=32, shards=3),
    Case("master-2b-odd", 20250417, CONFIG_2B_ODD, positions=24, stored=SMALL_EMBEDDING),
    Case("master-1bitllm-f16", 20240330, CONFIG_1BITLLM_F16, dtype=torch.float16, positions=32,
         stored={"inv_freq": True}),
    Case("master-llama-tied", 20250515, CONFIG_LLAMA_MASTERS, positions=24,
         stored={**SMALL_EMBEDDING, "stored_copy": True}),
    Case("packed-2b-divide", 20250418, CONFIG_2B_DIVIDE, positions=24, stored={"mixed_signs": True}),
    Case("packed-2b-aligned", 20250419, CONFIG_2B_ALIGNED, positions=20, stored={"mixed_signs": True}),
    Case("packed-llama-multiply", 20250516, CONFIG_LLAMA_MULTIPLY, positions=24, stored={"mixed_signs": True}),
]
