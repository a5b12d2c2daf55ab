#!/usr/bin/env bash
# Starts a Slurm of its own in the folder DIR, as root: one controller and two nodes of two CPUs on this machine, only on
# loopback, without systemd, cgroups and accounting. DIR/down stops it. A node that was killed is started again by
# `slurmd -f DIR/slurm.conf -N n1`.
#
#     .ci/slurm/up.sh DIR && export SLURM_CONF=DIR/slurm.conf && sinfo
set -euo pipefail
dir=$(mkdir -p "$1" && cd "$1" && pwd)
# The daemons refuse folders that others can write to.
chmod 755 "$dir"
mkdir -p "$dir"/{state,log}
cat > "$dir/slurm.conf" <<EOF
ClusterName=bitkv-test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=17817
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmctldPidFile=$dir/ctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmdSpoolDir=$dir/spool-%n
SlurmctldLogFile=$dir/log/ctld.log
SlurmdLogFile=$dir/log/%n.log
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
OverTimeLimit=0
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=5
MinJobAge=600
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=17821 CPUs=2 RealMemory=16384 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=17822 CPUs=2 RealMemory=16384 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
cat > "$dir/down" <<EOF
#!/bin/sh
# Stops the daemons that up.sh started, and only those.
for name in n1 n2 ctld munge; do
    if [ -f "$dir/\$name.pid" ]; then kill "\$(cat "$dir/\$name.pid")" 2>/dev/null; fi
done
:
EOF
chmod +x "$dir/down"
# A key for this folder only. It is readable only by root, and is never reused.
(umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
munged --key-file="$dir/munge.key" --socket="$dir/munge.sock" --pid-file="$dir/munge.pid" \
    --log-file="$dir/log/munge.log" --seed-file="$dir/munge.seed" --force
export SLURM_CONF="$dir/slurm.conf"
slurmctld -f "$SLURM_CONF" -c
for node in n1 n2; do slurmd -f "$SLURM_CONF" -N "$node"; done
for _ in $(seq 60); do
    if [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | wc -l)" -eq 2 ]; then exit 0; fi
    sleep 0.5
done
echo "the two nodes of the test Slurm are not idle after 30 s: see $dir/log" >&2
exit 1
