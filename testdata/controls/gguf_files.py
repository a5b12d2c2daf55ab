"""Write a control model as a GGUF file, and read what the file holds."""

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

from dense import Shape, rope_divisors

# The positions of the f16 scales of a block that `gguf` cannot make: random bytes take their place.
RANDOM_BLOCKS = {Type.Q4_K: (0, 2), Type.Q6_K: (208,)}


def permuted(rows, heads):
    """Llama's q and k rows, or biases, as the arch `llama` stores them: the two halves of each head interleaved."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def restored(rows, heads):
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def permuted_heads(config, name):
    """How many heads share out the rows of a tensor, where they are permuted."""
    shape = Shape.of(config)
    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(name.split(".")[-2])
    return heads if config["model_type"] == "llama" else None


def stored_name(config, name):
    arch = next(arch for arch, text in gguf.MODEL_ARCH_NAMES.items() if text == config["model_type"])
    module, suffix = name.rsplit(".", 1)
    return f"{gguf.get_tensor_name_map(arch, config['num_hidden_layers']).get_name(module)}.{suffix}"


def encode(rng, values, kind):
    if kind not in RANDOM_BLOCKS:
        return gguf.quants.quantize(values, kind)
    return random_blocks(rng, kind, *values.shape, float(values.std()))


def random_blocks(rng, kind, rows, columns, deviation):
    """Rows of random blocks whose values deviate from 0 about as much as `deviation` says."""
    count, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * columns // count, size), dtype=np.uint8)
    scale = rng.uniform(0.5, 1.5, len(blocks))

    def with_scales(unit):
        # The second scale of Q4_K is subtracted; 7.5 is the mean of what the first one multiplies.
        for at, factor in zip(RANDOM_BLOCKS[kind], (1.0, 7.5)):
            blocks[:, at:at + 2] = (unit * factor * scale).astype("<f2")[:, None].view(np.uint8)
        return blocks.reshape(rows, -1)

    unit = 2.0 ** -10
    measured = gguf.quants.dequantize(with_scales(unit), kind).std()
    return with_scales(unit * deviation / measured)


def write(path, rng, config, tensors, kinds):
    """`kinds`: the coding of each matrix, by its name in GGUF without layer and suffix.  Vectors are F32."""
    shape, rope = Shape.of(config), config.get("rope_scaling") or {}
    writer = gguf.GGUFWriter(path, config["model_type"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_freq_base(shape.theta)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(shape.vocab)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope.get("rope_type") == "llama3":  # no keys say so, only the tensor
        writer.add_tensor("rope_freqs.weight", rope_divisors(config).astype(np.float32))
    for name, tensor in tensors.items():
        values, heads, stored = tensor.numpy(), permuted_heads(config, name), stored_name(config, name)
        if heads:
            values = permuted(values, heads)
        kind = Type[kinds[stored.split(".")[-2]]] if values.ndim == 2 else Type.F32
        writer.add_tensor(stored, encode(rng, values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path, config, names):
    """{name: values}, float32, as a Hugging Face checkpoint has them, and `rope_freqs.weight` or None."""
    stored = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    frequencies = stored.pop("rope_freqs.weight", None)
    tensors = {}
    for name in names:
        values, heads = stored.pop(stored_name(config, name)), permuted_heads(config, name)
        tensors[name] = torch.from_numpy(np.array(restored(values, heads) if heads else values, np.float32))
    assert not stored, stored.keys()
    return tensors, frequencies
