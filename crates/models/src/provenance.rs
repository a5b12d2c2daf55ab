//! The provenance of a result: which program computed it, on which machine, from which files.

use std::{fs, path::Path, time::SystemTime};

use bitkv_record::{FileHash, Machine, Manifest, ModelEntry, Versions, rfc3339};
use serde_json::{Map, Value};

/// Returns the manifest for a run of this process. The caller sets `seconds` and `files` at the end of the
/// run.
pub fn manifest(
    started: SystemTime,
    seed: u64,
    models: Vec<ModelEntry>,
    texts: Vec<FileHash>,
    options: Map<String, Value>,
) -> Manifest {
    let Versions { bitkv, revision, dirty } = versions();
    Manifest {
        format: bitkv_record::FORMAT,
        bitkv_version: bitkv,
        revision,
        dirty,
        command: command(),
        started: rfc3339(started),
        seconds: 0.0,
        machine: machine(),
        threads: rayon::current_num_threads(),
        seed,
        models,
        texts,
        options,
        files: Vec::new(),
        shard: None,
    }
}

/// Returns the version of this program, and the source revision from which it was built.
pub fn versions() -> Versions {
    Versions {
        bitkv: env!("CARGO_PKG_VERSION").into(),
        revision: env!("BITKV_REVISION").into(),
        dirty: env!("BITKV_DIRTY") == "true",
    }
}

/// Returns a description of the machine on which this process runs.
pub fn machine() -> Machine {
    Machine {
        cpu: cpu(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        simd: bitkv_kernels::features().into_iter().map(str::to_owned).collect(),
    }
}

/// Returns the command line. The program is the first entry, without its folder, which does not affect
/// results.
fn command() -> Vec<String> {
    let mut arguments = std::env::args();
    let program =
        arguments.next().and_then(|path| Some(Path::new(&path).file_stem()?.to_string_lossy().into()));
    program.into_iter().chain(arguments).collect()
}

fn cpu() -> String {
    #[allow(clippy::disallowed_methods, reason = "the kernel writes this file")]
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}
