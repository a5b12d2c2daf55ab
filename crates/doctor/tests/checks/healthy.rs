//! Sound models have no faults.

use std::fs;

use bitkv_checkpoint::{Config, write_random};
use bitkv_doctor::{Severity, diagnose};
use bitkv_models::{Source, built_in};

use crate::model::{Files, NAMES, named, only, packed, repository, says, trained};

/// Asserts that all findings for a model are notes, and that they say that it is sound.
#[track_caller]
fn all_findings_are_notes(model: &str) {
    let source = Source::find(model).unwrap();
    let findings = diagnose(&source, None).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{model}: {findings:#?}");
    says(only(&findings, "decode-map", Severity::Note), &["the decode map is right"]);
    says(only(&findings, "interleaving", Severity::Note), &["in the order they were trained in"]);
    let guessing = (source.checkpoint().unwrap().config().vocab_size as f64).log2();
    let perplexity = only(&findings, "perplexity", Severity::Note);
    says(perplexity, &["predicts text", &format!("= {guessing:.2}")]);
    says(only(&findings, "scale-direction", Severity::Note), &["that of training"]);
    says(only(&findings, "f16-overflow", Severity::Note), &["65504"]);
    for finding in &findings {
        for text in [&finding.place, &finding.found, &finding.means, &finding.remedy] {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("  "), "{finding:#?}");
        }
    }
}

#[test]
fn the_built_in_models_are_sound() {
    built_in().into_iter().for_each(all_findings_are_notes);
}

/// The other tests damage copies of these models.
#[test]
fn the_test_models_are_sound() {
    for name in NAMES {
        all_findings_are_notes(trained(name).to_str().unwrap());
    }
}

/// Random models show no structure and lack a tokenizer, but they are not damaged.
#[test]
fn random_models_have_no_fault() {
    let golden = fs::read_dir(repository("testdata/golden")).unwrap();
    let folders: Vec<_> = golden.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 3);
    for folder in folders {
        let source = Source::find(folder.to_str().unwrap()).unwrap();
        let findings = diagnose(&source, None).unwrap();
        assert_eq!(named(&findings, Severity::Fault), [""; 0], "{}: {findings:#?}", folder.display());
        says(only(&findings, "run", Severity::Note), &["there is no tokenizer"]);
    }
}

#[test]
fn random_models_of_many_seeds_have_no_fault() {
    let config = Config::from_json(&Files::new("first-gqa").config.to_string(), "config.json").unwrap();
    let config = Config { vocab_size: 64, ..config };
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        write_random(&config, seed, folder.path(), &bitkv_progress::Silent).unwrap();
        let source = Source::find(folder.path().to_str().unwrap()).unwrap();
        let findings = diagnose(&source, None).unwrap();
        assert_eq!(named(&findings, Severity::Fault), [""; 0], "{findings:#?}");
        says(only(&findings, "decode-map", Severity::Note), &["the decode map is right"]);
        says(only(&findings, "interleaving", Severity::Note), &["too little agreement"]);
    }
}

/// With a tokenizer, random weights are run. They do not predict text in either direction of their scales.
#[test]
fn the_only_fault_of_random_weights_is_their_perplexity() {
    let mut files = Files::new("first-mha");
    files.change_packed(|bytes, rows, cols| {
        let mut random = bitkv_stats::Rng::new(bytes.len() as u64);
        let values: Vec<i8> =
            (0..rows * cols).map(|_| [-1, -1, -1, 0, 0, 0, 0, 1, 1, 1][random.below(10)]).collect();
        packed(&values, rows, cols)
    });
    files.tensor("model.norm.weight").change(|weights| weights.iter_mut().for_each(|w| *w *= 9.0));
    let findings = files.findings();
    assert_eq!(named(&findings, Severity::Fault), ["perplexity"], "{findings:#?}");
    says(only(&findings, "perplexity", Severity::Fault), &["guessing would do better", "--masters"]);
    says(only(&findings, "scale-direction", Severity::Note), &["does not show"]);
}
