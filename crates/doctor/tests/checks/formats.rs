//! Folders and GGUF files on disk.

use std::fs;

use bitkv_checkpoint::{
    Checkpoint, Config,
    codec::i2s::Layout,
    gguf::{self, Target, WriteOptions},
    write_random,
};
use bitkv_doctor::{Finding, Severity, diagnose};
use bitkv_models::{Loading, Source, vocabulary};
use tempfile::TempDir;

use crate::{
    engine::{NEIGHBOURS, ZERO_FIRST, decode},
    model::{Files, named, only, packed, says, trained},
};

/// Writes a GGUF file into an empty folder.
fn write(
    checkpoint: &Checkpoint,
    vocabulary: Option<&gguf::Vocabulary>,
    target: Target,
) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let options = WriteOptions { target, embedding: None, lossy: true, vocabulary, name: "model" };
    gguf::write(&path, checkpoint, &options, &bitkv_progress::Silent).unwrap();
    (folder, path.to_str().unwrap().into())
}

/// Returns the findings for a model that is written as a GGUF file with a vocabulary changed by `change`.
fn gguf_findings(files: &Files, target: Target, change: impl FnOnce(&mut gguf::Vocabulary)) -> Vec<Finding> {
    read_as(files, target, Loading::default(), change)
}

fn read_as(
    files: &Files,
    target: Target,
    loading: Loading,
    change: impl FnOnce(&mut gguf::Vocabulary),
) -> Vec<Finding> {
    let evidence = files.evidence();
    let tokenizer = evidence.tokenizer.unwrap().unwrap();
    let mut vocabulary = tokenizer.vocabulary().unwrap();
    vocabulary.special.eos = vocabulary.special.eos.or(Some(1));
    let mut vocabulary = vocabulary::for_gguf(vocabulary, None);
    change(&mut vocabulary);
    let (_folder, path) = write(&evidence.checkpoint, Some(&vocabulary), target);
    diagnose(&Source::find_with(&path, loading, &bitkv_progress::Silent).unwrap(), None).unwrap()
}

/// Reads I2_S tensors in the given layout, without detecting it.
fn layout(layout: Layout) -> Loading {
    Loading { i2s_layout: Some(layout), ..Loading::default() }
}

#[test]
fn settings_that_a_gguf_file_does_not_name_are_noted() {
    let findings = gguf_findings(&Files::new("first-gqa"), Target::I2S, |vocabulary| {
        vocabulary.pre = None;
        vocabulary.chat_template = Some("Human: {{ x }} BITNETAssistant: ".into());
    });
    assert_eq!(named(&findings, Severity::Fault), [""; 0], "{findings:#?}");
    says(
        only(&findings, "i2s-layout", Severity::Note),
        &["the layout x86", "arm", "the weights fit only one"],
    );
    says(only(&findings, "gguf-pre-tokenizer", Severity::Note), &["bitnet.cpp", "--tokens"]);
    says(only(&findings, "gguf-chat-template", Severity::Note), &["BITNETAssistant", "replaced"]);
    says(only(&findings, "scale-rule", Severity::Note), &["the multipliers themselves"]);
    says(only(&findings, "decode-map", Severity::Note), &["the decode map is right"]);
    says(only(&findings, "interleaving", Severity::Note), &["in the order they were trained in"]);
}

#[test]
fn a_sound_model_is_sound_in_every_gguf_type() {
    for target in [Target::I2S, Target::Tq1_0, Target::Tq2_0] {
        let findings = gguf_findings(&Files::new("first-gqa"), target, |_| ());
        let worse: Vec<_> = findings.iter().filter(|f| f.severity != Severity::Note).collect();
        assert!(worse.is_empty(), "{target:?}: {worse:#?}");
    }
}

/// The converter multiplied by scales that divide.
#[test]
fn reciprocal_scales_are_found_in_every_gguf_type() {
    let mut files = Files::new("first-gqa");
    files.config["quantization_config"]["linear_class"] = "bitlinear".into();
    for target in [Target::I2S, Target::Tq1_0, Target::Tq2_0] {
        let findings = gguf_findings(&files, target, |_| ());
        let finding = only(&findings, "scale-direction", Severity::Fault);
        says(finding, &["wrong direction", "convert the model again from its source"]);
    }
}

/// The converter decoded the weights wrongly before it wrote a GGUF file.
#[test]
fn mistakes_are_still_found_after_a_conversion() {
    let mut files = Files::new("first-gqa");
    files.change_packed(|bytes, rows, cols| {
        packed(&decode(bytes, rows, cols, ZERO_FIRST, NEIGHBOURS), rows, cols)
    });
    for target in [Target::I2S, Target::Tq2_0] {
        let findings = read_as(&files, target, layout(Layout::X86), |_| ());
        says(only(&findings, "decode-map", Severity::Fault), &["00=0, 01=+1, 10=-1"]);
        says(only(&findings, "interleaving", Severity::Fault), &["four neighbours"]);
    }
}

#[test]
fn a_layout_that_cannot_be_detected_is_a_warning() {
    let config = Config::from_json(&Files::new("first-gqa").config.to_string(), "config.json").unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_random(&config, 5, folder.path(), &bitkv_progress::Silent).unwrap();
    let (_folder, path) = write(&Checkpoint::open(folder.path()).unwrap(), None, Target::I2S);
    let findings = diagnose(&Source::find(&path).unwrap(), None).unwrap();
    says(only(&findings, "i2s-layout", Severity::Warning), &["--i2s-layout", "x86"]);
    let findings =
        diagnose(&Source::find_with(&path, layout(Layout::X86), &bitkv_progress::Silent).unwrap(), None)
            .unwrap();
    says(only(&findings, "i2s-layout", Severity::Note), &["the layout was given"]);
}

#[test]
fn a_wrong_layout_is_a_warning() {
    let findings = read_as(&Files::new("first-gqa"), Target::I2S, layout(Layout::Arm), |_| ());
    says(only(&findings, "interleaving", Severity::Warning), &["another layout", "--i2s-layout"]);
}

#[test]
fn a_folder_is_examined_with_all_its_files() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(trained("first-mha").join(file), folder.path().join(file)).unwrap();
    }
    let source = Source::find(folder.path().to_str().unwrap()).unwrap();
    let masters = Source::find(trained("first-mha").to_str().unwrap()).unwrap();
    let findings = diagnose(&source, Some(&masters)).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:#?}");
    says(only(&findings, "masters", Severity::Note), &["100.0000 %"]);
    says(only(&findings, "scale-rule", Severity::Note), &["the configuration says so"]);

    let weights = folder.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let findings = diagnose(&source, None).unwrap();
    assert_eq!(findings.len(), 1);
    says(
        only(&findings, "open", Severity::Fault),
        &["model.safetensors", "truncated", "nothing else was examined"],
    );
}
