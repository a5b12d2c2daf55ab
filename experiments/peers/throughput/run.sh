#!/usr/bin/env bash
# Times bitkv, llama.cpp, bitnet.cpp and transformers on the same shapes, in turns.
# The options are those of run.py.
# PEERS_VENV names a Python environment for the peers, which is made if it is absent. BITKV names the program, which is
# built if it is not given.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=experiments/peers/throughput
venv="${PEERS_VENV:-target/peers-venv}"
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
# llama.cpp is compiled for this machine, which takes a quarter of an hour and a C++ compiler. Without one, the table
# lists llama.cpp as not measured.
if ! "$venv/bin/python" -c 'import llama_cpp' 2>/dev/null; then
    "$venv/bin/python" -m pip install --quiet cmake ninja
    CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF" \
        "$venv/bin/python" -m pip install --quiet --requirement "$here/requirements-llama.txt" ||
        echo "llama-cpp-python cannot be installed: llama.cpp is left out" >&2
fi
if [ -z "${BITKV:-}" ]; then
    cargo build --release --locked --package bitkv-cli
    BITKV=target/release/bitkv
fi
exec "$venv/bin/python" "$here/run.py" --bitkv "$BITKV" "$@"
