//! Records the git revision of the source, so that the manifest of every run can name it.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn main() {
    let revision = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let dirty = git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
    println!("cargo:rustc-env=BITKV_REVISION={revision}");
    println!("cargo:rustc-env=BITKV_DIRTY={dirty}");
    for path in [
        "../../.git/HEAD",
        "../../.git/index",
        "../../crates",
        "../../models",
        "../../calibration",
        "../../examples",
        "../../experiments",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
}
