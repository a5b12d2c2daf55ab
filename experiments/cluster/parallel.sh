#!/usr/bin/env bash
# Runs the shards of a definition with GNU parallel, and merges them.
#
# usage: experiments/cluster/parallel.sh DEFINITION SHARDS OUT [OPTIONS OF parallel...]
#
# For example, two shards at a time here, or on two machines that see the same folder under the same path:
#
#     experiments/cluster/parallel.sh experiments/sinks.toml 8 runs/sinks --jobs 2
#     experiments/cluster/parallel.sh experiments/sinks.toml 8 runs/sinks --sshlogin a,b --workdir .
set -euo pipefail
definition=$1 shards=$2 out=$3
shift 3
bitkv=${BITKV:-bitkv}
mkdir -p "$out.shards"
# A shard that failed is tried three times. It resumes, and a finished shard is left alone.
parallel --quote --retries 3 --joblog +"$out.shards/parallel.log" "$@" \
    "$bitkv" --quiet run "$definition" --shard "{}/$shards" --out "$out.shards/{}-of-$shards" \
    --snapshots "$out.shards/snapshots" --if-needed ::: $(seq "$shards")
"$bitkv" merge "$out" "$out.shards"
