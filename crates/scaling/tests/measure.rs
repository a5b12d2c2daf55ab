//! The script that measures points, with a stub in place of `bitkv`.

#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use bitkv_scaling::{Pass, Step, read_points, validate};

/// Answers like `bitkv`: four contexts, which the shards take in turns. Numbers of shards begin with 0.
const STUB: &str = r#"#!/usr/bin/env bash
set -eu
header=experiment,model,form,task,text,context_tokens,kept_entries,full_entries,targets,questions
rows() { for i in $(seq 0 3); do [ $((i % $2)) = "$1" ] && echo "a,tiny-gqa,true,text,t$i,$((100 * (i + 1))),800,800,127,0"; done; true; }
if [ "$1" = merge ]; then mkdir -p "$2"; { echo $header; cat "$3"/*/rows.csv | grep -v experiment | sort; } >"$2/rows.csv"; exit; fi
case "$*" in
    *--dry-run*)
        echo '{ "shards": ['
        for i in $(seq 0 $(($5 - 1))); do [ "$i" = 0 ] || echo ,; echo "{\"shard\": $i, \"contexts\": 1, \"rows\": 1, \"seconds\": 0.5, \"bytes\": 9}"; done
        echo ']}' ;;
    *)
        shard=${4%/*} count=${4#*/} out=$6
        mkdir "$out"
        { echo $header; rows "$shard" "$count"; } >"$out/rows.csv"
        if [ "${7:-}" = --snapshots ]; then mkdir -p "$8"; head -c 5000 /dev/zero >"$8/$shard-of-$count"; fi ;;
esac
"#;

#[test]
fn the_script_writes_a_point_for_every_process() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("measure");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let stub = folder.join("bitkv");
    fs::write(&stub, STUB).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let out = folder.join("points.csv");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../experiments/scaling/measure.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(&out)
        .env("BITKV", &stub)
        .env("SCALING", env!("CARGO_BIN_EXE_bitkv-scaling"))
        .env("WORK", folder.join("work"))
        .env("SHARDS", "1 2 8")
        .env("TRACE", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let points = read_points(&out).unwrap();
    assert_eq!(points.len(), 3 * (1 + 2 + 8 + 3));
    let processes = |pass, step, shards| {
        points.iter().filter(move |point| (point.pass, point.step, point.shards) == (pass, step, shards))
    };
    for pass in Pass::ALL {
        for shards in [1, 2, 8] {
            let contexts: f64 = processes(pass, Step::Shard, shards).map(|point| point.work.contexts).sum();
            let rows: f64 = processes(pass, Step::Merge, shards).map(|point| point.work.rows).sum();
            assert_eq!((contexts, rows), (4.0, 4.0));
        }
    }
    assert!(processes(Pass::Read, Step::Shard, 8).all(|point| point.snapshot_bytes >= 5000.0));
    assert!(processes(Pass::None, Step::Shard, 8).all(|point| point.snapshot_bytes == 0.0));
    assert_eq!(validate(&points).iter().filter(|check| check.decides()).count(), 2 * 3 * 2);
}
