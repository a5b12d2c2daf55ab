//! Comparison with full-precision master weights.

use bitkv_doctor::{Evidence, Finding, Severity, examine};
use safetensors::Dtype;

use crate::{
    engine::{HIGH_FIRST, Map, NEIGHBOURS, Place, QUARTERS, RIGHT, ROWS, ZERO_FIRST, decode},
    model::{Files, NAMES, Tensor, named, only, packed, says, values},
};

/// Returns full-precision weights that ternarise to the codes and scales of a trained model.
fn masters(name: &str) -> Files {
    let mut files = Files::new(name);
    let scales: Vec<(String, f32)> = files
        .tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_suffix("_scale")?.to_string(), tensor.values()[0])))
        .collect();
    for (name, scale) in scales {
        files.tensors.remove(&format!("{name}_scale"));
        let tensor = files.tensor(&name);
        let (rows, cols) = (4 * tensor.shape[0], tensor.shape[1]);
        let codes = values(&tensor.data, rows, cols);
        let zeros = codes.iter().filter(|code| **code == 0).count() as f64 / codes.len() as f64;
        // The weights of code 0 are 0.4 of the mean away from 0. The others are as far away as makes the mean
        // right.
        let far = ((1.0 - 0.4 * zeros) / (1.0 - zeros)) as f32;
        let value = |(i, code): (usize, &i8)| match code {
            0 => scale * if i % 2 == 0 { 0.4 } else { -0.4 },
            code => scale * far * f32::from(*code),
        };
        let weights: Vec<f32> = codes.iter().enumerate().map(value).collect();
        *tensor = Tensor::f32s(vec![rows, cols], &weights);
    }
    files.config["quantization_config"]["quantization_mode"] = "online".into();
    files.config["quantization_config"]["linear_class"] = "autobitlinear".into();
    files
}

fn compared(files: &Files, masters: &Files) -> Vec<Finding> {
    examine(&Evidence { masters: Some(masters.checkpoint()), ..files.evidence() })
}

#[test]
fn equal_codes_and_scales_are_noted() {
    for name in NAMES {
        let masters = masters(name);
        let findings = compared(&Files::new(name), &masters);
        assert_eq!(named(&findings, Severity::Fault), [""; 0], "{findings:#?}");
        says(only(&findings, "masters", Severity::Note), &["100.0000 %"]);
        says(
            only(&findings, "masters-scale", Severity::Note),
            &["28 multipliers equal those of the master weights"],
        );
        // The master weights are sound too.
        let findings = masters.findings();
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:#?}");
    }
}

#[test]
fn the_masters_show_every_mistake() {
    let exchanged: Map = [0, -1, 1];
    let cases: [(Map, Place, &[&str]); 7] = [
        (ZERO_FIRST, QUARTERS, &["00=0, 01=+1, 10=-1"]),
        (exchanged, QUARTERS, &["00=0, 01=+1, 10=-1", "exchanged"]),
        ([1, 0, -1], QUARTERS, &["exchanged"]),
        (RIGHT, NEIGHBOURS, &["four neighbours"]),
        (RIGHT, ROWS, &["rows 4r+i"]),
        (RIGHT, HIGH_FIRST, &["highest two bits"]),
        (ZERO_FIRST, NEIGHBOURS, &["00=0, 01=+1, 10=-1", "four neighbours"]),
    ];
    let masters = masters("first-mha");
    for (map, place, words) in cases {
        let mut files = Files::new("first-mha");
        files.change_packed(|bytes, rows, cols| packed(&decode(bytes, rows, cols, map, place), rows, cols));
        let findings = compared(&files, &masters);
        let finding = only(&findings, "masters", Severity::Fault);
        says(finding, words);
        says(finding, &["undoing that makes 100.0000 % equal"]);
        only(&findings, "masters-scale", Severity::Note);
    }
}

#[test]
fn unrelated_masters_are_distinguished_from_rounding() {
    let mut masters = masters("first-gqa");
    // One in 250 weights gets another code.
    for tensor in masters.tensors.values_mut().filter(|t| t.dtype == Dtype::F32 && t.shape.len() == 2) {
        tensor.change(|weights| weights.iter_mut().step_by(250).for_each(|w| *w = 0.0));
    }
    let findings = compared(&Files::new("first-gqa"), &masters);
    says(only(&findings, "masters", Severity::Warning), &["rounding"]);
    for tensor in masters.tensors.values_mut().filter(|t| t.dtype == Dtype::F32 && t.shape.len() == 2) {
        tensor.change(|weights| weights.reverse());
    }
    let findings = compared(&Files::new("first-gqa"), &masters);
    says(only(&findings, "masters", Severity::Fault), &["no known decode map", "another model"]);
    let findings = compared(&Files::new("first-gqa"), &Files::new("first-mha"));
    says(
        only(&findings, "masters", Severity::Fault),
        &["in the master weights", "not master weights of this model"],
    );
}

#[test]
fn reciprocal_and_damaged_scales_are_distinguished() {
    let masters = masters("first-gqa");
    let mut files = Files::new("first-gqa");
    files.config["quantization_config"]["linear_class"] = "bitlinear".into();
    let findings = compared(&files, &masters);
    says(
        only(&findings, "masters-scale", Severity::Fault),
        &["28 equal their reciprocal", "to autobitlinear"],
    );
    let mut files = Files::new("first-gqa");
    files.tensor("model.layers.0.mlp.up_proj.weight_scale").change(|scale| scale[0] *= 1.02);
    let findings = compared(&files, &masters);
    says(
        only(&findings, "masters-scale", Severity::Fault),
        &["27 multipliers", "1 equal neither", "damaged"],
    );
    // Packing may change a scale by one unit in the last place of bf16.
    let mut files = Files::new("first-gqa");
    files.tensor("model.layers.0.mlp.up_proj.weight_scale").change(|scale| scale[0] *= 1.005);
    only(&compared(&files, &masters), "masters-scale", Severity::Note);
}

#[test]
fn damaged_masters_are_reported() {
    let mut masters = masters("first-gqa");
    masters.tensors.remove("model.layers.1.mlp.up_proj.weight");
    let findings = compared(&Files::new("first-gqa"), &masters);
    says(
        only(&findings, "masters", Severity::Fault),
        &["layers.1.mlp.up_proj", "the master weights are damaged"],
    );
}
