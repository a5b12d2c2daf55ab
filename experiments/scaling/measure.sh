#!/usr/bin/env bash
# Measures what shards cost: runs experiments/scaling.toml as 1, 2, 4 and 8 shards, without snapshots, writing them and
# reading them, and writes one row for each process to results/scaling/points.csv.
#
#   cargo build --release -p bitkv-cli -p bitkv-scaling
#   experiments/scaling/measure.sh [OUT.csv]
#
# Processes run one after another, so the machine must have nothing else to do. It takes about 15 minutes for each round.
# Variables: BITKV and SCALING name the programs, DEFINITION the definition, SHARDS the numbers of shards, ROUNDS the
# number of rounds (2; of each process the fastest counts), TRACE=0 leaves out the second, traced run that counts calls on
# files, and WORK names the folder
# in which the runs are made (target). It must be on the file system that is measured.
set -euo pipefail
cd "$(dirname "$0")/../.."

bitkv=${BITKV:-target/release/bitkv}
scaling=${SCALING:-target/release/bitkv-scaling}
definition=${DEFINITION:-experiments/scaling.toml}
counts=${SHARDS:-1 2 4 8}
rounds=${ROUNDS:-2}
out=${1:-results/scaling/points.csv}
trace=${TRACE:-1}
command -v strace >/dev/null || trace=0

fail() { echo "$1" >&2; exit 1; }
for program in "$bitkv" "$scaling"; do
    [ -x "$program" ] || fail "$program is not a program: run cargo build --release -p bitkv-cli -p bitkv-scaling"
done
mkdir -p "${WORK:=target}" "$(dirname "$out")"
work=$(mktemp -d "$WORK/scaling-XXXXXX")
# After an error the runs stay, so that they can be read.
trap '[ $? -ne 0 ] || rm -rf "$work"' EXIT

cores=$(nproc)
processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1 | tr ',' ' ')
machine="$cores cores; ${processor:-unknown processor}"
all=$work/all.csv
: >"$all"

# Runs a command and sets `seconds` to its wall-clock seconds, CPU seconds (user, system) and largest memory in KiB.
timed() {
    if [ -x /usr/bin/time ]; then
        /usr/bin/time -f "%e,%U,%S,%M" -o "$work/time" "$@" >"$work/log" 2>&1 || fail "$* failed: read $(tail -n 5 "$work/log")"
        seconds=$(tail -n 1 "$work/time")
    else
        local TIMEFORMAT="%R,%U,%S"
        { time "$@" >"$work/log" 2>&1 || fail "$* failed: read $(tail -n 5 "$work/log")"; } 2>"$work/time"
        seconds=$(tail -n 1 "$work/time"),0
    fi
}

# Prints the numbers of the shards of a run, as `--dry-run` lists them.
shards_of() {
    local json
    json=$("$bitkv" run "$definition" --dry-run --shards "$1" --json) || fail "the dry run with $1 shards failed"
    printf '%s' "$json" | tr -d ' \n\t' | grep -o '"shard":"\?[0-9]*' | grep -o '[0-9]*$'
}

# Prints the bytes of the files in a folder.
bytes_in() { if [ -d "$1" ]; then du -sb "$1" | cut -f 1; else echo 0; fi; }

# Prints the calls on files that a shard makes, or nothing without strace.
traced() {
    [ "$trace" = 1 ] || return 0
    rm -rf "$work/traced"
    strace -f -c -o "$work/calls" -e trace=%file,fsync,fdatasync "$@" --out "$work/traced" >/dev/null 2>&1 || return 0
    awk '$1 + 0 == $1 && $NF != "total" { calls += $4 } END { if (calls) print calls }' "$work/calls"
}

declare -A written
for round in $(seq "$rounds"); do
    for count in $counts; do
        shards=$(shards_of "$count")
        snapshots=$work/snapshots
        rm -rf "$snapshots"
        for pass in none write read; do
            folder=$work/$pass-$count
            rm -rf "$folder" && mkdir -p "$folder"
            for shard in $shards; do
                options=() calls=
                [ "$pass" = none ] || options=(--snapshots "$snapshots")
                before=$(bytes_in "$snapshots")
                timed "$bitkv" run "$definition" --shard "$shard/$count" --out "$folder/$shard" "${options[@]}"
                case $pass in
                    none) bytes=0 ;;
                    write) bytes=$(($(bytes_in "$snapshots") - before)); written[$count/$shard]=$bytes ;;
                    read) bytes=${written[$count/$shard]} ;;
                esac
                measured=$seconds
                case "$round $count" in
                    "1 1" | "1 4")
                        # A traced run that writes needs a folder without its snapshots.
                        [ "$pass" = write ] && options=(--snapshots "$work/traced-snapshots")
                        calls=$(traced "$bitkv" run "$definition" --shard "$shard/$count" "${options[@]}")
                        rm -rf "$work/traced-snapshots"
                        ;;
                esac
                work_done=$("$scaling" count "$folder/$shard/rows.csv")
                echo "$machine,$cores,$pass,shard,$count,$shard,$measured,$bytes,$calls,$work_done" >>"$all"
            done
            timed "$bitkv" merge "$work/merged" "$folder"
            measured=$seconds
            [ -e "$work/rows.csv" ] || cp "$work/merged/rows.csv" "$work/rows.csv"
            cmp -s "$work/rows.csv" "$work/merged/rows.csv" ||
                fail "$count shards ($pass) have other rows than the first run: do not use these points, and compare the runs in $work"
            work_done=$("$scaling" count "$work/merged/rows.csv")
            echo "$machine,$cores,$pass,merge,$count,0,$measured,0,,$work_done" >>"$all"
            rm -rf "$work/merged" "$folder"
            echo "round $round: $count shards, snapshots: $pass: done" >&2
        done
    done
done

# Of each process the fastest run counts, with the calls that were traced in the first round.
{
    echo "machine,cores,pass,step,shards,shard,wall_seconds,user_seconds,system_seconds,peak_kib,snapshot_bytes,file_operations,$("$scaling" columns)"
    awk -F, -v OFS=, '
        { key = $3 "," $4 "," $5 "," $6 }
        !(key in best) { order[++n] = key; calls[key] = $12 }
        !(key in best) || $7 + 0 < wall[key] { best[key] = $0; wall[key] = $7 + 0 }
        END { for (i = 1; i <= n; i++) { $0 = best[order[i]]; $12 = calls[order[i]]; print } }
    ' "$all"
} >"$out"
echo "$out has $(($(wc -l <"$out") - 1)) points; run: cargo run --release -p bitkv-scaling $out" >&2
