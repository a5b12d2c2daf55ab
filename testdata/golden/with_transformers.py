"""The same forward pass by transformers' own classes: float32, eager attention, hooks for what they do not return."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers.integrations.bitnet import AutoBitLinear, BitLinear

from families import FAMILIES, PROJECTIONS, Shape
from reference import entropy_bits

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


class Transformers:
    """A checkpoint folder, read by transformers through the checkpoint's own quantization_config."""

    def __init__(self, folder, config):
        self.shape = Shape.of(config)
        kind = getattr(transformers, config["architectures"][0])
        model, loading = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                              output_loading_info=True)
        assert not any(loading.values()), loading  # nothing missing, unexpected or of another shape
        self.model = model.eval()
        # A quantised checkpoint keeps its bf16 tensors whatever `dtype` asks for, and the class refuses .float();
        # this upcast is exact: every stored value, code and scale is representable.
        torch.nn.Module.float(self.model)
        self.check(config)

    def check(self, config):
        """That what was loaded is what the config says, as `families` understands it."""
        s, model, theirs = self.shape, self.model, self.model.config
        linears = [m for m in model.modules() if isinstance(m, (AutoBitLinear, BitLinear))]
        assert len(linears) == len(PROJECTIONS) * s.layers
        if s.scales == "divide":
            assert all(isinstance(m, BitLinear) and m.dtype == torch.float32 for m in linears)
        else:
            online = s.scales is None
            assert all(isinstance(m, AutoBitLinear) and m.online_quant == online for m in linears)
            assert all(m.weight.dtype == torch.float32 for m in linears)
        assert type(model.lm_head) is torch.nn.Linear and model.lm_head.weight.dtype == torch.float32
        assert (model.lm_head.weight is model.model.embed_tokens.weight) == s.tied
        assert model.model.layers[0].self_attn.head_dim == s.head_dim
        assert (theirs.num_key_value_heads, theirs.hidden_act, theirs.rms_norm_eps) == (s.kv_heads, s.act, s.eps)
        assert theirs.rope_parameters["rope_theta"] == s.theta
        inv_freq = s.theta ** -(torch.arange(0, s.head_dim, 2) / s.head_dim)
        torch.testing.assert_close(model.model.rotary_emb.inv_freq, inv_freq, rtol=1e-6, atol=0)

    def run(self, tokens):
        """As `Reference.run`."""
        steps, rows = {}, []
        hooks = self.hooks(lambda name, x: steps.update({name: x.reshape(len(tokens), -1).numpy()}), rows.append)
        with torch.no_grad():
            steps["logits"] = self.model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()
        for hook in hooks:
            hook.remove()
        return steps, np.stack([entropy_bits(r) for r in rows])

    def hooks(self, see, see_rows):
        first = lambda out: out[0] if isinstance(out, tuple) else out
        after = lambda module, name: module.register_forward_hook(lambda m, x, out: see(name, first(out)))
        before = lambda module, name: module.register_forward_pre_hook(lambda m, x: see(name, x[0]))
        model, family = self.model.model, self.shape.family
        hooks = [after(model.embed_tokens, "embedding"), after(model.norm, "final_norm")]
        for i, layer in enumerate(model.layers):
            attention, mlp = layer.self_attn, layer.mlp
            hooks += [after(m, f"{i}.{name}") for m, name in [
                (layer.input_layernorm, "input_norm"), (attention.q_proj, "q"), (attention.k_proj, "k"),
                (attention.v_proj, "v"), (attention.o_proj, "o"),
                (layer.post_attention_layernorm, "post_attention_norm"), (mlp.gate_proj, "gate"),
                (mlp.up_proj, "up"), (mlp.down_proj, "down"), (layer, "output")]]
            hooks.append(before(layer.post_attention_layernorm, f"{i}.attention_residual"))
            if family.attention_sub_norm:
                hooks += [before(attention.attn_sub_norm, f"{i}.attention"),
                          after(attention.attn_sub_norm, f"{i}.attention_sub_norm"),
                          before(mlp.ffn_sub_norm, f"{i}.activation"), after(mlp.ffn_sub_norm, f"{i}.mlp_sub_norm")]
            else:
                hooks += [before(attention.o_proj, f"{i}.attention"), before(mlp.down_proj, f"{i}.activation")]
            hooks.append(attention.register_forward_hook(lambda m, x, out: see_rows(out[1][0].numpy())))
        return hooks

    def greedy(self, tokens, count):
        """The continuation that transformers' own `generate` finds, with its f32 cache."""
        prompt = torch.tensor([tokens])
        out = self.model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                                  max_new_tokens=count, pad_token_id=0)
        return out[0, len(tokens):].tolist()


def one_bit_llm(config, tensors):
    """The 1bitLLM graph through transformers: BitNet with SiLU, norms renamed, ternarised online."""
    ours, theirs, s = FAMILIES["BitnetForCausalLM"], FAMILIES["BitNetForCausalLM"], Shape.of(config)
    config = {**config, "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": s.act,
              "num_key_value_heads": s.kv_heads, "rms_norm_eps": s.eps, "rope_theta": s.theta,
              "tie_word_embeddings": s.tied,
              "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear",
                                      "quantization_mode": "online"}}
    rename = lambda name: (name.replace(ours.attention_sub_norm, theirs.attention_sub_norm)
                           .replace(ours.mlp_sub_norm, theirs.mlp_sub_norm))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        save_file({rename(name): t for name, t in tensors.items() if not name.endswith("inv_freq")},
                  Path(folder, "model.safetensors"), {"format": "pt"})
        return Transformers(folder, config)
