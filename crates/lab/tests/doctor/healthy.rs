//! Sound models have no faults.

use std::fs;

use bitkv_checkpoint::{Config, write_random};
use bitkv_lab::{
    Source, built_in,
    doctor::{Severity, diagnose},
};

use crate::model::{Files, NAMES, named, only, packed, repository, says};

#[test]
fn the_built_in_models_get_nothing_but_notes() {
    for name in built_in() {
        let findings = diagnose(&Source::find(name).unwrap(), None).unwrap();
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{name}: {findings:#?}");
        says(only(&findings, "decode-map", Severity::Note), &["the decode map is right"]);
        says(only(&findings, "interleaving", Severity::Note), &["in the order they were trained in"]);
        says(only(&findings, "perplexity", Severity::Note), &["predicts text", "= 11.00"]);
        says(only(&findings, "scale-direction", Severity::Note), &["that of training"]);
        says(only(&findings, "f16-overflow", Severity::Note), &["65504"]);
        for finding in &findings {
            for text in [&finding.place, &finding.found, &finding.means, &finding.remedy] {
                assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("  "), "{finding:#?}");
            }
        }
    }
    assert_eq!(built_in(), NAMES);
}

/// Random weights have no structure to judge by, and no tokenizer, but no damage either.
#[test]
fn random_models_are_not_accused() {
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
fn many_random_seeds_are_not_accused() {
    let config = Config::from_json(&Files::of("tiny-gqa").config.to_string(), "config.json").unwrap();
    let config = Config { vocab_size: 64, ..config };
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        write_random(&config, seed, folder.path(), &mut |_, _| ()).unwrap();
        let source = Source::find(folder.path().to_str().unwrap()).unwrap();
        let findings = diagnose(&source, None).unwrap();
        assert_eq!(named(&findings, Severity::Fault), [""; 0], "{findings:#?}");
        says(only(&findings, "decode-map", Severity::Note), &["the decode map is right"]);
        says(only(&findings, "interleaving", Severity::Note), &["too little agreement"]);
    }
}

/// With a tokenizer they are run, and are no model of text in either direction of their scales.
#[test]
fn random_weights_are_only_accused_of_not_being_trained() {
    let mut files = Files::of("tiny-mha");
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
    says(only(&findings, "scale-direction", Severity::Note), &["does not tell"]);
}
