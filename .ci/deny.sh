#!/usr/bin/env bash
# Checks licences, banned crates and the sources of all dependencies, and known vulnerabilities where the database can be
# had. Installs cargo-deny if it is missing, and prints how long that takes.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=0.20.2
if ! cargo deny --version 2>/dev/null | grep -q "$VERSION"; then
    began=$SECONDS
    cargo install cargo-deny --version "$VERSION" --locked --quiet
    echo "cargo-deny $VERSION was installed in $((SECONDS - began)) s"
fi
began=$SECONDS
# cargo-deny reads the manifests of all targets, which a build for one of them does not download.
cargo fetch --locked --quiet
cargo deny --offline --log-level error check licenses bans sources
if ! timeout 120 cargo deny --log-level error check advisories 2>/tmp/bitkv-advisories.$$; then
    # Without the database there is no answer. A vulnerability is an error.
    if grep -qE "failed to (fetch|open|load|acquire)|unable to (fetch|open)|advisory database" /tmp/bitkv-advisories.$$; then
        echo "advisories NOT RUN: the database could not be had"
    else
        cat /tmp/bitkv-advisories.$$ >&2
        exit 1
    fi
fi
rm -f /tmp/bitkv-advisories.$$
echo "cargo-deny took $((SECONDS - began)) s"
