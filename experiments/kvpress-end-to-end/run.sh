#!/usr/bin/env bash
# Runs the presses of kvpress-end-to-end.toml in kvpress and in bitkv, and puts the cells beside each other. What was
# finished before is not run again. The options are passed to run.py, such as --threads 2.
# PYTHON names an interpreter that has requirements.txt installed. Without it, the script makes one in target/.
# BITKV names the program, which is built if it is not given.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=experiments/kvpress-end-to-end
folder=target/kvpress-end-to-end
if [ -z "${PYTHON:-}" ]; then
    PYTHON=target/kvpress-end-to-end-venv/bin/python
    [ -x "$PYTHON" ] || python3 -m venv target/kvpress-end-to-end-venv
    "$PYTHON" -m pip install --quiet --requirement "$here/requirements.txt"
fi
if [ -z "${BITKV:-}" ]; then
    cargo build --release --locked --package bitkv-cli
    BITKV=target/release/bitkv
fi
PYTHON="$PYTHON" experiments/smollm2/fetch.sh >/dev/null
# float16 is the cache of a bitkv run. float32 shows what rounding alone changes within kvpress.
for cache in float16 float32; do
    "$PYTHON" "$here/run.py" --model tiny-gqa --context 896 --cache "$cache" "$@"
    "$PYTHON" "$here/run.py" --model smollm2 --cache "$cache" "$@"
done
# bitkv resumes an unfinished run and refuses a finished one, which has a report.
[ -f "$folder/run/report.md" ] || "$BITKV" run "$here/kvpress-end-to-end.toml" --out "$folder/run"
"$PYTHON" "$here/compare.py" "$folder/run" --plans "$folder/plans" --bitkv "$BITKV" --out results/kvpress-end-to-end
# The rows and the manifest of bitkv's side belong to the result.
mkdir -p results/kvpress-end-to-end/bitkv
cp "$folder/run/definition.toml" "$folder/run/manifest.json" results/kvpress-end-to-end/bitkv/
gzip -9nc "$folder/run/rows.csv" >results/kvpress-end-to-end/bitkv/rows.csv.gz
