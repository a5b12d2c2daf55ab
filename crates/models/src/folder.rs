//! Says what a folder lacks, or holds instead, that is not a model that bitkv can read.

use std::{collections::BTreeSet, path::Path};

use crate::{Error, Result};

/// Checks that a folder holds the files of a model. `model` is the name that the user gave.
///
/// # Errors
/// Returns an error that says what the folder lacks, or what it holds instead of a model.
pub(crate) fn check(model: &str, folder: &Path) -> Result<()> {
    // What is there but cannot be read, such as a pipe or a link to nothing, is refused when it is opened.
    let has_file = |file: &str| folder.join(file).symlink_metadata().is_ok();
    let has_weights = has_file("model.safetensors") || has_file("model.safetensors.index.json");
    let foreign = |reason| Error::ForeignFolder { folder: model.into(), reason };
    let missing = match (has_file("config.json"), has_weights) {
        (true, true) => {
            let reason = adapter_beside_weights(folder).or_else(|| missing_parts(folder));
            return reason.map_or(Ok(()), |reason| Err(foreign(reason)));
        }
        (false, _) => "config.json",
        (true, false) => "model.safetensors",
    };
    let incomplete = || Error::IncompleteFolder { folder: model.into(), file: missing };
    Err(foreign_weights(folder).map_or_else(incomplete, foreign))
}

/// Says that a folder holds an adapter beside the weights of its base model; `None` if it holds none.
fn adapter_beside_weights(folder: &Path) -> Option<String> {
    folder.join("adapter_config.json").is_file().then(|| {
        "it holds a LoRA adapter (adapter_config.json) beside the weights, which the results would not have: merge the \
         adapter into the weights, or remove its files to run the base model"
            .into()
    })
}

/// Says which of the files of an index are missing; `None` if all are there, or if the index cannot be read,
/// which is an error when the weights are opened.
fn missing_parts(folder: &Path) -> Option<String> {
    const INDEX: &str = "model.safetensors.index.json";
    if folder.join("model.safetensors").exists() {
        return None;
    }
    let text = bitkv_bytes::read_document(&folder.join(INDEX), bitkv_bytes::limit::INDEX).ok()?;
    bitkv_bytes::check_values(text.as_bytes()).ok()?;
    let index: serde_json::Value = serde_json::from_str(&text).ok()?;
    let listed: BTreeSet<&str> =
        index.get("weight_map")?.as_object()?.values().filter_map(serde_json::Value::as_str).collect();
    let missing: Vec<&str> = listed
        .iter()
        .copied()
        // A name that is not plain is refused when the index is read.
        .filter(|file| !file.contains(['/', '\\']) && !folder.join(file).exists())
        .collect();
    let first = missing.first()?;
    let (missing, listed) = (missing.len(), listed.len());
    Some(format!(
        "it lacks {missing} of the {listed} files that {INDEX} lists, such as {first}: download them"
    ))
}

/// Says what a folder holds that lacks a file of a model, and what to do; `None` if its files do not show it.
fn foreign_weights(folder: &Path) -> Option<String> {
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let find = |matches: &dyn Fn(&str) -> bool| names.iter().find(|name| matches(name)).cloned();
    let adapter = find(&|name| name == "adapter_config.json" || name.starts_with("adapter_model."));
    if let Some(file) = adapter {
        return Some(format!(
            "it holds a LoRA adapter ({file}), not a model: merge the adapter into its base model and save the result \
             with `merge_and_unload().save_pretrained(FOLDER)`"
        ));
    }
    let pickle = |name: &str| {
        let is_weights =
            !["training_args", "optimizer", "scheduler", "rng_state"].iter().any(|no| name.contains(no));
        is_weights && [".bin", ".pt", ".pth", ".ckpt"].iter().any(|end| name.ends_with(end))
    };
    if let Some(file) = find(&pickle) {
        return Some(format!(
            "its weights are in the pickle format of PyTorch ({file}): load them with transformers and save them with \
             `save_pretrained(FOLDER)`, which writes model.safetensors"
        ));
    }
    if let Some(file) = find(&|name| name.ends_with(".gguf")) {
        return Some(format!("it holds the GGUF file {file}: name that file"));
    }
    let parts = names.iter().filter(|name| name.ends_with(".safetensors")).collect::<Vec<_>>();
    match parts[..] {
        [] => None,
        [only] if !only.contains("-of-") && only != "model.safetensors" => Some(format!(
            "its only weights are {only}: rename that file to model.safetensors if it holds the model"
        )),
        [first, ..] if first.contains("-of-") && names.iter().any(|name| name == "config.json") => {
            Some(format!(
                "it holds {first} but no model.safetensors.index.json, which says where each tensor is: download it too"
            ))
        }
        _ => None,
    }
}
