#!/usr/bin/env bash
# Makes committed results from their definitions: all of them, or those named.
#
#   experiments/regenerate.sh            # every result that is not there
#   experiments/regenerate.sh verify     # one; if it is there, a new one is made beside it, results/verify-2
#
# The results on SmolLM2 need its file: experiments/smollm2/fetch.sh gets it.
#
# A result is never replaced. Rows are packed; report.html is kept for `verify` only. Run it on a clean tree, because manifests name the
# revision. An interrupted run is resumed.
set -euo pipefail
cd "$(dirname "$0")/.."

# Result and definition, in the order of experiments/README.md; that of `verify` is compiled in.
RESULTS="
verify:
plain-llama:plain-llama
entropy-is-the-reason:entropy-is-the-reason
scorers-and-allocators:scorers-and-allocators
sinks:sinks
gqa-pooling:gqa-pooling
plain-llama-policies:plain-llama-policies
head-entropies:head-entropies
quantisation:quantisation
schedules:schedules
retrieval:retrieval
advise:advise
smollm2-verify:
smollm2-heads:smollm2/heads
smollm2-scorers-and-allocators:smollm2/scorers-and-allocators
smollm2-published-rules:smollm2/published-rules
smollm2-retrieval:smollm2/retrieval
"

for name in "$@"; do
    printf '%s' "$RESULTS" | grep -q "^$name:" || { echo "there is no result $name: name one of" $(printf '%s' "$RESULTS" | cut -d: -f1) >&2; exit 1; }
done
[ -z "$(git status --porcelain)" ] || { echo "the tree has uncommitted changes: commit them first, so that manifests name what ran" >&2; exit 1; }
smollm2=target/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
bitkv() { cargo run --release --locked --quiet -- "$@"; }
for entry in $RESULTS; do
    name=${entry%%:*} definition=${entry#*:}
    if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qx "$name"; then continue; fi
    if [ $# -eq 0 ] && [ -e "results/$name" ]; then echo "results/$name is there already: left alone"; continue; fi
    folder=results/$name number=2
    while [ -e "$folder" ]; do folder=results/$name-$number number=$((number + 1)); done
    case "$name" in
        verify) bitkv verify --out "$folder" ;;
        # In f32 it takes twice as long.
        smollm2-verify) bitkv verify --model "$smollm2" --arithmetic bf16 --out "$folder" ;;
        *) bitkv run "experiments/$definition.toml" --out "$folder" ;;
    esac
    [ "$name" = verify ] || rm "$folder/report.html"
    find "$folder" -name '*.csv' -exec gzip -9n {} +
done
