#!/usr/bin/env bash
# Fuzzes every reader of files from outside for a minute: with libFuzzer where a nightly toolchain and cargo-fuzz are there,
# otherwise by random changes of the seeds on the stable toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${BITKV_FUZZ_SECONDS:-60}"
began=$SECONDS
if rustup toolchain list 2>/dev/null | grep -q nightly && cargo fuzz --version >/dev/null 2>&1; then
    cd crates/fuzz
    for target in ../../testdata/hostile/*/; do
        name="$(basename "$target")"
        mkdir -p "targets/corpus/$name"
        cargo +nightly fuzz run --fuzz-dir targets "$name" "targets/corpus/$name" "$target" -- \
            -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=32768
    done
else
    BITKV_FUZZ_SECONDS="$seconds" cargo test --release --package bitkv-fuzz --locked -- --nocapture
fi
echo "fuzzing took $((SECONDS - began)) s"
