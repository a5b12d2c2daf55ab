"""Prefill and decode in llama.cpp, with the functions that its own llama-bench calls. Prints one JSON document.

With --quantise it rewrites a GGUF file instead: the embedding (which is the LM head) as q6_K, the rest unchanged.
"""

import argparse
import ctypes
import json
import time
from pathlib import Path

import llama_cpp as llama


def quantise(source, target):
    params = llama.llama_model_quantize_default_params()
    params.ftype = llama.LLAMA_FTYPE_MOSTLY_TQ2_0
    params.token_embedding_type = llama.GGML_TYPE_Q6_K
    params.output_tensor_type = llama.GGML_TYPE_Q6_K
    # Ternary tensors have the wanted type already and are not changed.
    params.allow_requantize = True
    if llama.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)):
        raise SystemExit(f"llama.cpp cannot quantise {source}")


class Engine:
    """A model and a context for it."""

    def __init__(self, path, threads, longest):
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = longest, 2048, 512
        params.n_threads = params.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context")
        self.words = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))

    def clear(self):
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def read(self, first, count):
        """Runs `count` tokens in one batch, with logits after the last."""
        tokens = (llama.llama_token * count)(*((i * 7919 + 13) % self.words for i in range(first, first + count)))
        if llama.llama_decode(self.context, llama.llama_batch_get_one(tokens, count)):
            raise SystemExit("llama.cpp cannot run a batch")
        llama.llama_synchronize(self.context)

    def prefill(self, count):
        self.clear()
        for first in range(0, count, 2048):
            self.read(first, min(2048, count - first))

    def decode(self, count):
        self.clear()
        for i in range(count):
            self.read(i, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quantise", type=Path, nargs=2, metavar=("SOURCE", "TARGET"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prefill", type=int, default=0)
    parser.add_argument("--decode", type=int, default=0)
    options = parser.parse_args()
    # llama.cpp logs to standard error.
    llama.llama_backend_init()
    if options.quantise:
        return quantise(*options.quantise)
    engine = Engine(options.model, options.threads, max(options.prefill, options.decode, 64) + 64)
    rows = []
    for test, count, run in [("prefill", options.prefill, engine.prefill), ("decode", options.decode, engine.decode)]:
        if count:
            # llama-bench warms up with the whole prompt, and with one token.
            run(count if test == "prefill" else 1)
            started = time.perf_counter()
            run(count)
            rows.append({"test": test, "tokens": count, "seconds": time.perf_counter() - started})
    said = llama.llama_print_system_info().decode()
    versions = {"llama-cpp-python": llama.__version__, "llama.cpp built for": said.strip()}
    print(json.dumps({"versions": versions, "rows": rows}))


if __name__ == "__main__":
    main()
