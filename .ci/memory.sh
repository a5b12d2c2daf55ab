#!/usr/bin/env bash
# Runs the tests of the crates with unsafe code under valgrind (plain loops and AVX2) and under AddressSanitizer, with few
# random cases. What is not there is skipped with a line that says so.
set -euo pipefail
cd "$(dirname "$0")/.."
export PROPTEST_CASES=2
began=$SECONDS
if command -v valgrind >/dev/null; then
    binary="$(cargo test --release --package bitkv-kernels --lib --locked --no-run --message-format json |
        python3 -c 'import json, sys; print([o["executable"] for o in map(json.loads, sys.stdin) if o.get("executable")][-1])')"
    for isa in scalar avx2; do
        # Valgrind knows no AVX-512. It runs one thread at a time.
        BITKV_ISA=$isa RAYON_NUM_THREADS=2 valgrind --quiet --error-exitcode=99 --leak-check=no \
            "$binary" --test-threads=1 --skip ceilings >/dev/null
        echo "valgrind: no errors with $isa"
    done
else
    echo "valgrind NOT RUN: it is not installed"
fi
host="$(rustc -vV | sed -n 's/^host: //p')"
if ls "$(rustc --print sysroot)/lib/rustlib/$host/lib/"librustc*_rt.asan.* >/dev/null 2>&1; then
    # The sanitizer is an option of nightly toolchains, which a stable one has too but does not promise.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan" \
        cargo test --release --package bitkv-kernels --package bitkv-bytes --lib --locked --target "$host" -- --skip ceilings >/dev/null
    echo "AddressSanitizer: no errors"
else
    echo "AddressSanitizer NOT RUN: the toolchain has no runtime for it"
fi
echo "memory checks took $((SECONDS - began)) s"
