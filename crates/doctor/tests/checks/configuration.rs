//! Configurations and tokenizers that do not belong to the weights.

use bitkv_doctor::{Finding, Severity};
use serde_json::{Value, json};

use crate::model::{Files, NAMES, named, only, says};

fn with_config(name: &str, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut files = Files::new(name);
    change(&mut files.config);
    files.findings()
}

/// The scales are about 0.1, and the configuration divides by them instead of multiplying.
#[test]
fn the_wrong_direction_of_scales_is_named() {
    for name in NAMES {
        let findings = with_config(name, |config| {
            config["quantization_config"]["linear_class"] = "bitlinear".into();
        });
        let finding = only(&findings, "scale-direction", Severity::Fault);
        says(finding, &["wrong direction", "`linear_class`", "to autobitlinear"]);
        says(only(&findings, "scale-rule", Severity::Note), &["divides by"]);
    }
}

/// If master weights are of order one, a scale and its reciprocal both look plausible, and only a text shows
/// the direction.
#[test]
fn a_text_shows_the_direction_of_scales_around_one() {
    for name in NAMES {
        let mut files = Files::new(name);
        // The model stays the same except for rounding: scales grow, and the norms before their layers
        // shrink.
        for (name, tensor) in &mut files.tensors {
            let factor = match name {
                _ if name.ends_with("weight_scale") => 20.0,
                _ if name.contains(".layers.") && tensor.shape.len() == 1 => 1.0 / 20.0,
                _ => continue,
            };
            tensor.change(|values| values.iter_mut().for_each(|value| *value *= factor));
        }
        let findings = files.findings();
        says(only(&findings, "scale-direction", Severity::Note), &["that of training"]);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:#?}");
        files.config["quantization_config"]["linear_class"] = "bitlinear".into();
        let findings = files.findings();
        // The model predicts the text worse, but better than guessing.
        says(only(&findings, "scale-direction", Severity::Warning), &["wrong direction", "to autobitlinear"]);
        assert_eq!(named(&findings, Severity::Fault), [""; 0]);
    }
}

#[test]
fn a_configuration_without_a_linear_class_is_a_warning() {
    let findings = with_config("first-gqa", |config| {
        config["quantization_config"].as_object_mut().unwrap().remove("linear_class");
    });
    says(
        only(&findings, "scale-rule", Severity::Warning),
        &["no `linear_class`", "divides by", "autobitlinear"],
    );
    only(&findings, "scale-direction", Severity::Fault);
    // The first upload of BitNet-b1.58-2B-4T has this configuration.
    let findings = with_config("first-gqa", |config| {
        config["quantization_config"] = json!({"quant_method": "bitnet", "offline_quantization": true});
    });
    says(only(&findings, "scale-rule", Severity::Warning), &["multiplies by"]);
    assert_eq!(named(&findings, Severity::Fault), [""; 0]);
}

#[test]
fn an_unused_token_beyond_the_model_is_noted_and_missing_merges_are_a_fault() {
    let mut files = Files::new("first-gqa");
    let mut added = files.tokenizer["added_tokens"][0].clone();
    (added["id"], added["content"]) = (2048.into(), "<one too many>".into());
    files.tokenizer["added_tokens"].as_array_mut().unwrap().push(added);
    let findings = files.findings();
    assert_eq!(named(&findings, Severity::Fault), [""; 0]);
    says(only(&findings, "tokenizer", Severity::Note), &["`<one too many>` (2048)", "beyond the 2048 ids"]);
    files.tokenizer["model"]["merges"] = json!([]);
    let findings = files.findings();
    assert_eq!(named(&findings, Severity::Fault), ["tokenizer"]);
    says(only(&findings, "tokenizer", Severity::Fault), &["it has no merges", "came with the weights"]);
    says(only(&findings, "run", Severity::Note), &["was not run"]);
}

#[test]
fn a_missing_tokenizer_is_noted() {
    let mut evidence = Files::new("first-gqa").evidence();
    evidence.tokenizer = Ok(None);
    let findings = bitkv_doctor::examine(&evidence);
    assert_eq!(named(&findings, Severity::Fault), [""; 0]);
    says(only(&findings, "tokenizer", Severity::Note), &["no tokenizer"]);
}

/// Returns the findings for a model with a larger vocabulary and the same tokenizer.
fn padded_to(vocabulary: usize) -> Vec<Finding> {
    let mut files = Files::new("first-gqa");
    files.config["vocab_size"] = vocabulary.into();
    let tensor = files.tensor("model.embed_tokens.weight");
    let row = tensor.data[..tensor.data.len() / tensor.shape[0]].to_vec();
    (tensor.shape[0]..vocabulary).for_each(|_| tensor.data.extend(&row));
    tensor.shape[0] = vocabulary;
    files.findings()
}

#[test]
fn ids_without_a_token_are_counted() {
    let findings = padded_to(2064);
    says(only(&findings, "ids-without-token", Severity::Note), &["16 of 2064 ids", "2048", "padded"]);
    let findings = padded_to(4096);
    says(only(&findings, "ids-without-token", Severity::Warning), &["2048 of 4096 ids", "another model"]);
    assert_eq!(named(&findings, Severity::Fault), [""; 0]);
}

#[test]
fn first_and_last_tokens_must_exist() {
    let findings = with_config("first-gqa", |config| {
        config["bos_token_id"] = Value::Null;
        config["eos_token_id"] = json!([]);
    });
    says(only(&findings, "bos-token", Severity::Warning), &["no `bos_token_id`"]);
    says(only(&findings, "eos-token", Severity::Warning), &["no `eos_token_id`", "never ends"]);
    let mut files = Files::new("first-gqa");
    let tensor = files.tensor("model.embed_tokens.weight");
    let row = tensor.data[..tensor.data.len() / 2048].to_vec();
    tensor.data.extend(row);
    tensor.shape[0] = 2049;
    files.config["vocab_size"] = 2049.into();
    files.config["bos_token_id"] = 2048.into();
    files.config["eos_token_id"] = json!([1, 2048]);
    let findings = files.findings();
    says(only(&findings, "bos-token", Severity::Fault), &["`bos_token_id` is 2048"]);
    says(only(&findings, "eos-token", Severity::Fault), &["names 2048"]);
}
