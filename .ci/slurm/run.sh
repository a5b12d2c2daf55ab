#!/usr/bin/env bash
# Runs a definition on a real Slurm, with a node that dies, a cancelled task and a damaged journal. The test compares the
# merged run with a run on one machine. Where Slurm cannot be installed, it is not run, and a line says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
not_run() {
    echo "NOT RUN: the test on a real Slurm, because $1"
    exit 0
}
programs=(munged slurmctld slurmd sbatch)
have_all() { for program in "${programs[@]}"; do command -v "$program" >/dev/null || return 1; done; }
[ "$(id -u)" -eq 0 ] || not_run "only root can start the daemons"
if ! have_all; then
    command -v apt-get >/dev/null || not_run "Slurm is not installed and there is no apt-get"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        slurmctld slurmd slurm-client munge; } >/dev/null 2>&1 || not_run "apt-get cannot install Slurm"
    have_all || not_run "apt-get installed Slurm without ${programs[*]}"
fi
dir=$(mktemp -d)
stop() {
    # Jobs outlive the daemons of their nodes.
    SLURM_CONF="$dir/slurm.conf" timeout 20 scancel --user=root 2>/dev/null || :
    sleep 1
    [ ! -x "$dir/down" ] || "$dir/down"
    # The daemons write their last state while they stop.
    sleep 2
    rm -rf "$dir"
}
trap stop EXIT
if ! .ci/slurm/up.sh "$dir"; then
    tail -n 20 "$dir"/log/*
    exit 1
fi
export SLURM_CONF="$dir/slurm.conf"
cargo test --release --locked -p bitkv-cli --test slurm_real -- --ignored --nocapture
