"""What a config.json means: the classes' defaults, the tensor names, the shapes and the scale rule.

Written from the published configuration classes and not read from transformers, so that the two can be compared.
"""

from dataclasses import dataclass

PROJECTIONS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


@dataclass(frozen=True)
class Family:
    """A modelling class: the names of its sub-norms (none for Llama) and what missing keys of a config mean."""

    attention_sub_norm: str | None
    mlp_sub_norm: str | None
    defaults: dict


LLAMA_DEFAULTS = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "num_key_value_heads": None,
                  "tie_word_embeddings": False}
FAMILIES = {
    "BitNetForCausalLM": Family("self_attn.attn_sub_norm", "mlp.ffn_sub_norm", {
        "hidden_act": "relu2", "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "num_key_value_heads": 5,
        "tie_word_embeddings": False}),
    "BitnetForCausalLM": Family("self_attn.inner_attn_ln", "mlp.ffn_layernorm", LLAMA_DEFAULTS),  # 1bitLLM
    "LlamaForCausalLM": Family(None, None, LLAMA_DEFAULTS),
}


@dataclass(frozen=True)
class Shape:
    """A config with nothing missing.  `scales`: how a stored weight_scale acts, or None for masters."""

    family: Family
    vocab: int
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    act: str
    eps: float
    theta: float
    tied: bool
    scales: str | None

    @staticmethod
    def of(config):
        family = FAMILIES[config["architectures"][0]]
        get = lambda key: config.get(key, family.defaults[key])
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        return Shape(
            family=family, vocab=config["vocab_size"], hidden=hidden, inner=config["intermediate_size"],
            layers=config["num_hidden_layers"], heads=heads, kv_heads=get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or hidden // heads, act=get("hidden_act"), eps=get("rms_norm_eps"),
            theta=config.get("rope_parameters", {}).get("rope_theta") or get("rope_theta"),
            tied=get("tie_word_embeddings"), scales=scale_rule(config.get("quantization_config")))

    def norms(self):
        """(name, width) of a layer's norms."""
        pairs = [("input_layernorm", self.hidden), ("post_attention_layernorm", self.hidden),
                 (self.family.attention_sub_norm, self.heads * self.head_dim), (self.family.mlp_sub_norm, self.inner)]
        return [(name, width) for name, width in pairs if name]

    def projections(self):
        """{name: (rows, columns)} of a layer's ternary matrices."""
        d, i, q, kv = self.hidden, self.inner, self.heads * self.head_dim, self.kv_heads * self.head_dim
        return dict(zip(PROJECTIONS, [(q, d), (kv, d), (kv, d), (d, q), (i, d), (i, d), (d, i)]))


def scale_rule(quantization):
    """Results are multiplied by a weight_scale under autobitlinear and divided by it under bitlinear, the default."""
    if quantization is None or quantization.get("quantization_mode") == "online":
        return None
    return "multiply" if quantization.get("linear_class", "bitlinear") == "autobitlinear" else "divide"
