#!/usr/bin/env bash
# Times the grid of kvpress-grid.toml in bitkv and in transformers + kvpress, in turns. The options are those of
# kvpress_grid.py.
# PYTHON names an interpreter that has requirements.txt installed. Without it, the script makes one in target/.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=target/peers-venv/bin/python
    [ -x "$PYTHON" ] || python3 -m venv target/peers-venv
    "$PYTHON" -m pip install --quiet --requirement experiments/peers/requirements.txt
fi
if [ -z "${BITKV:-}" ]; then
    cargo build --release --package bitkv-cli
    BITKV=target/release/bitkv
fi
exec "$PYTHON" experiments/peers/kvpress_grid.py --bitkv "$BITKV" "$@"
