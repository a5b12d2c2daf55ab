#!/usr/bin/env bash
# Writes the reports of the committed results again, and the leaderboard of all of them. Rows do not change.
#
# usage: experiments/render.sh
#
# Run it after a change of the reports. As `regenerate.sh`, it keeps report.html for `verify` only.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release
bitkv=${CARGO_TARGET_DIR:-target}/release/bitkv
for run in results/*; do
    # The oldest runs have no figures and keep the report that they were published with.
    [ -d "$run/figures" ] || continue
    kept=$(git ls-files "$run/report.html")
    rm -rf "$run/figures"
    "$bitkv" report "$run" --write >/dev/null
    [ -n "$kept" ] || rm "$run/report.html"
done
"$bitkv" leaderboard results
