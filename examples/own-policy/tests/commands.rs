//! The commands of bitkv accept the policy of this crate.

use std::{fs, process::Command};

use serde_json::Value;

fn json(arguments: &[&str], folder: &std::path::Path) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_own-policy")).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn plan_run_and_list_accept_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<u32> = (100..124).collect();
    fs::write(folder.path().join("tokens.json"), serde_json::to_string(&tokens).unwrap()).unwrap();
    let policy = "uniform+spread{recent=0,sinks=0}";
    let plan =
        ["plan", "--model", "tiny-gqa", "--tokens", "tokens.json", "--policy", policy, "--budget", "0.25"];
    let planned = json(&[&plan[..], &["--json"]].concat(), folder.path());
    assert_eq!(planned["policy"], policy);
    for head in
        planned["layers"].as_array().unwrap().iter().flat_map(|layer| layer["heads"].as_array().unwrap())
    {
        assert_eq!(head["kept"], serde_json::json!([0, 4, 8, 12, 16, 20]));
    }

    let definition =
        include_str!("../spread.toml").replace("context = 256\nhorizon = 63", "context = 48\nhorizon = 15");
    fs::write(folder.path().join("spread.toml"), definition).unwrap();
    let run = json(&["run", "spread.toml", "--out", "spread", "--json"], folder.path());
    assert_eq!(run["failed"], 0);
    let rows = fs::read_to_string(folder.path().join("spread/rows.csv")).unwrap();
    assert!(rows.lines().any(|row| row.contains("uniform+spread") && row.contains("control")), "{rows}");

    let listed = json(&["list", "policies", "--json"], folder.path());
    let spread =
        listed["policies"].as_array().unwrap().iter().find(|policy| policy["name"] == "spread").unwrap();
    assert_eq!((&spread["role"], &spread["options"]["every"]), (&"control".into(), &"4".into()));
}
