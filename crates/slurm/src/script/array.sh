shard=${SLURM_ARRAY_TASK_ID:?set SLURM_ARRAY_TASK_ID to the number of a shard}

# USR1 comes before the time limit, and only to this script: the run then finishes its batch and ends with 75.
# TERM from Slurm, and INT from a terminal, reach the run too. A second one would end it before it has saved its rows.
signals=0
asked=
stop() {
    signals=$((signals + 1))
    asked=$1
    if [ "$1" = INT ] || { [ "$1" = TERM ] && [ -n "${SLURM_JOB_ID:-}" ]; }; then return; fi
    if [ -n "${!:-}" ]; then kill -s "$1" "$!" 2>/dev/null; fi
}
trap 'stop USR1' USR1
trap 'stop TERM' TERM
trap 'stop INT' INT

"$bitkv" run "$definition" --shard "$shard/$shards" --out "$folder/$shard-of-$shards" "${snapshots[@]}" --if-needed &
run=$!

# A signal interrupts `wait`, so it is repeated until no signal has come.
seen=-1
while [ "$seen" -ne "$signals" ]; do
    seen=$signals
    wait "$run"
    code=$?
done
# 138: USR1 came before the run could handle it. The same command resumes, as after 75.
if [ "$code" -eq 138 ]; then code=75; fi
if [ "$code" -ne 75 ] || [ -z "${SLURM_ARRAY_JOB_ID:-}" ]; then exit "$code"; fi

if [ "${SLURM_RESTART_COUNT:-0}" -ge "$restarts" ]; then
    echo "shard $shard was restarted $restarts times and is not finished: submit it again with a longer --time" >&2
    exit 75
fi
# Without a signal, another process writes this shard. It gets time, so that the task does not restart in a loop.
if [ -z "$asked" ]; then sleep 60; fi
# A task that was cancelled stays so.
if [ "$asked" = TERM ]; then exit 75; fi
echo "shard $shard stopped and is put into the queue again"
scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" || exit 75
# Slurm ends this script. If it ended first, the task would count as failed.
sleep 60
exit 75
