#!/usr/bin/env bash
# Runs shards with GNU parallel. Where it cannot be installed, the test is not run, and a line says so.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v parallel >/dev/null; then
    { [ "$(id -u)" -eq 0 ] && apt-get update && apt-get install -y --no-install-recommends parallel; } >/dev/null 2>&1 || :
fi
if ! command -v parallel >/dev/null; then
    echo "NOT RUN: the test with GNU parallel, because it cannot be installed"
    exit 0
fi
cargo test --release --locked -p bitkv-cli --test cluster -- --ignored
