#!/usr/bin/env bash
# Renders the pages of committed runs and uses them in Chromium.
#
# usage: .ci/browser/run.sh [SCREENSHOTS]
#
# It installs Chromium, Node and two packages if they are not there, and needs a built bitkv.
set -euo pipefail
cd "$(dirname "$0")/../.."
shots=${1:+$(realpath "$1")}
bitkv=${CARGO_TARGET_DIR:-target}/release/bitkv
work=${CARGO_TARGET_DIR:-target}/pages
if ! command -v chromium >/dev/null || ! command -v npm >/dev/null; then
    apt-get update
    command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium
    command -v npm >/dev/null || apt-get install -y --no-install-recommends nodejs npm
fi
rm -rf "$work"
mkdir -p "$work"
cp .ci/browser/package.json .ci/browser/pages.mjs "$work"
npm install --prefix "$work" --no-package-lock --no-audit --no-fund --silent

# The committed results keep no pages, so they are written again beside copies of the rows.
largest=$(for run in results/*/; do
    [ -f "$run/definition.toml" ] && [ -f "$run/rows.csv.gz" ] && stat -c "%s $run" "$run/rows.csv.gz"
done | sort -n | tail -1 | cut -d' ' -f2)
for run in results/verify-2 "$largest"; do
    cp -r "$run" "$work/$(basename "$run")"
    "$bitkv" report "$work/$(basename "$run")" --write >/dev/null
done
"$bitkv" leaderboard results --out "$work/leaderboard.html" >/dev/null
CHROMIUM=$(command -v chromium) node "$work/pages.mjs" "$work/verify-2/report.html" \
    "$work/$(basename "$largest")/report.html" "$work/leaderboard.html" ${shots:+"$shots"}
