//! Damaged weights: invalid codes, holes, and values that are not finite.

use bitkv_doctor::{Evidence, Finding, Severity, examine};

use crate::model::{Files, NAMES, Tensor, named, only, says};

const EMBEDDING: &str = "model.embed_tokens.weight";

fn damaged(change: impl FnOnce(&mut Files)) -> Vec<Finding> {
    let mut files = Files::new("first-gqa");
    change(&mut files);
    files.findings()
}

#[track_caller]
fn faults(findings: &[Finding], expected: &[&str]) {
    assert_eq!(named(findings, Severity::Fault), expected, "{findings:#?}");
}

/// An incomplete download of BitNet-b1.58-2B-4T had 1,707 of 128,256 rows; this one has the same fraction.
#[test]
fn a_truncated_embedding_is_named() {
    for name in NAMES {
        let mut files = Files::new(name);
        let tensor = files.tensor(EMBEDDING);
        let kept = tensor.shape[0] * 1707 / 128_256;
        let row = tensor.data.len() / tensor.shape[0];
        tensor.data[kept * row..].fill(0);
        let findings = files.findings();
        faults(&findings, &["embedding-holes"]);
        let rows = format!("{} of 2048 rows", 2048 - kept);
        let from = format!("from row {kept} to row 2047, without a gap");
        says(
            only(&findings, "embedding-holes", Severity::Fault),
            &[EMBEDDING, &rows, &from, "download it again"],
        );
        says(only(&findings, "run", Severity::Note), &["was not run", "all zero"]);
        // The weights are examined nevertheless.
        only(&findings, "decode-map", Severity::Note);
    }
}

#[test]
fn scattered_holes_are_named_and_padding_is_not_a_fault() {
    let with_zero_rows = |step: usize, count: usize| {
        damaged(|files| {
            let tensor = files.tensor(EMBEDDING);
            let row = tensor.data.len() / tensor.shape[0];
            (0..count).for_each(|i| tensor.data[(7 + i * step) * row..][..row].fill(0));
        })
    };
    let findings = with_zero_rows(40, 21);
    faults(&findings, &["embedding-holes"]);
    says(only(&findings, "embedding-holes", Severity::Fault), &["21 of 2048 rows", "from row 7 to row 807"]);
    let findings = with_zero_rows(1, 20);
    faults(&findings, &[]);
    says(only(&findings, "embedding-holes", Severity::Note), &["20 of 2048 rows", "padding"]);
}

#[test]
fn the_position_of_code_3_is_reported() {
    let name = "model.layers.2.mlp.up_proj.weight";
    let findings = damaged(|files| {
        let tensor = files.tensor(name);
        let (cols, quarter) = (tensor.shape[1], tensor.shape[0]);
        // The third row of the second quarter.
        tensor.data[2 * cols + 5] |= 0b1100;
        assert_eq!(quarter, 192);
    });
    faults(&findings, &["invalid-code"]);
    let finding = only(&findings, "invalid-code", Severity::Fault);
    says(finding, &["1 of 28", name, "1 of 196608 codes", "row 194, column 5", "changed after"]);
    says(only(&findings, "run", Severity::Note), &["invalid ternary code 3"]);
    // The other matrices still show the map.
    says(only(&findings, "decode-map", Severity::Note), &["the decode map is right"]);
}

#[test]
fn bytes_that_are_not_codes_are_distinguished_from_damaged_codes() {
    let findings = damaged(|files| {
        files.change_packed(|bytes, _, _| {
            (0..bytes.len())
                .map(|i| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0])
                .collect()
        });
    });
    faults(&findings, &["invalid-code"]);
    says(only(&findings, "invalid-code", Severity::Fault), &["28 of 28", "not two-bit codes"]);
}

#[test]
fn a_hole_in_a_linear_weight_is_named() {
    let name = "model.layers.3.mlp.down_proj.weight";
    let findings = damaged(|files| files.tensor(name).data[8192..16_384].fill(0));
    assert!(named(&findings, Severity::Fault).contains(&"weight-holes"), "{findings:#?}");
    says(only(&findings, "weight-holes", Severity::Fault), &[name, "8192 of their 49152 bytes", "download"]);
    says(only(&findings, "decode-map", Severity::Note), &["all 27 linear weights"]);
}

#[test]
fn norms_that_are_not_finite_or_zero_are_reported() {
    let name = "model.layers.1.post_attention_layernorm.weight";
    let findings_with = |change: fn(&mut Vec<f32>)| damaged(|files| files.tensor(name).change(change));
    let findings = findings_with(|weights| weights[9] = f32::NAN);
    faults(&findings, &["norm-finite"]);
    says(only(&findings, "norm-finite", Severity::Fault), &[name, "channel 9"]);
    let findings = findings_with(|weights| weights.fill(0.0));
    assert!(named(&findings, Severity::Fault).contains(&"norm-dead"), "{findings:#?}");
    says(only(&findings, "norm-dead", Severity::Fault), &[name, "256 of 256", "truncated"]);
    let findings = findings_with(|weights| weights[..8].fill(0.0));
    faults(&findings, &[]);
    says(only(&findings, "norm-holes", Severity::Warning), &[name, "8 of 256"]);
}

/// BitNet-b1.58-2B-4T has such norms.
#[test]
fn tiny_and_negative_norms_are_not_faults() {
    let findings = damaged(|files| {
        files.tensor("model.layers.1.mlp.ffn_sub_norm.weight").change(|weights| weights[..300].fill(1e-32));
        files.tensor("model.layers.3.self_attn.attn_sub_norm.weight").change(|weights| weights[4] = -14.0);
    });
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:#?}");
    says(only(&findings, "dead-channels", Severity::Note), &["layers.1.mlp.ffn_sub_norm", "300 weights"]);
    let negative = only(&findings, "negative-norms", Severity::Note);
    assert!(
        negative.place.contains("norms, the first") && negative.means.contains("no damage"),
        "{negative:?}"
    );
}

#[test]
fn the_position_of_nan_in_the_embedding_is_reported() {
    let findings = damaged(|files| {
        // A value with all bits set is NaN in any float type.
        let tensor = files.tensor(EMBEDDING);
        let width = tensor.data.len() / (2048 * 256);
        tensor.data[(3 * 256 + 2) * width..][..width].fill(0xFF);
    });
    faults(&findings, &["embedding-finite"]);
    says(only(&findings, "embedding-finite", Severity::Fault), &["row 3, column 2"]);
}

#[test]
fn missing_misshapen_and_unread_tensors_are_named() {
    let (missing, norm) = ("model.layers.0.self_attn.q_proj.weight_scale", "model.norm.weight");
    let findings = damaged(|files| {
        files.tensors.remove(missing);
        files.tensor(norm).shape = vec![2, 128];
    });
    faults(&findings, &["tensors"]);
    let of_tensors: Vec<_> = findings.iter().filter(|f| f.check == "tensors").map(|f| &f.found).collect();
    assert!(of_tensors.len() == 2 && of_tensors[0].contains(missing) && of_tensors[1].contains(norm));

    let bias = "model.layers.0.self_attn.q_proj.bias";
    let findings = damaged(|files| {
        files.tensors.insert(bias.into(), Tensor::f32s(vec![256], &[0.5; 256]));
        files
            .tensors
            .insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), Tensor::f32s(vec![1], &[1.0]));
    });
    faults(&findings, &["tensors"]);
    says(only(&findings, "tensors", Severity::Fault), &[bias, "would run a different model"]);

    let other = "model.layers.0.self_attn.q_proj.weight_zero";
    let findings = damaged(|files| {
        files.tensors.insert(other.into(), Tensor::f32s(vec![256], &[0.5; 256]));
    });
    faults(&findings, &[]);
    says(only(&findings, "unread-tensors", Severity::Warning), &["1 tensors", other]);
}

#[test]
fn layers_that_are_missing_altogether_are_one_fault() {
    let findings = damaged(|files| files.config["num_hidden_layers"] = 12.into());
    faults(&findings, &["tensors"]);
    says(
        only(&findings, "tensors", Severity::Fault),
        &["`num_hidden_layers` is 12, and the weights have 4 layers", "another model"],
    );
}

/// Rows of zeros at the end are padding of the vocabulary only if no token has their ids.
#[test]
fn the_tokenizer_shows_whether_zeros_at_the_end_are_padding() {
    let mut files = Files::new("first-gqa");
    let tensor = files.tensor(EMBEDDING);
    let row = tensor.data.len() / tensor.shape[0];
    tensor.data[1900 * row..].fill(0);
    let rows = "148 of 2048 rows contain only zeros, from row 1900 to row 2047";
    says(only(&files.findings(), "embedding-holes", Severity::Fault), &[rows, "download it again"]);
    let evidence = Evidence { tokenizer: Ok(None), ..files.evidence() };
    says(only(&examine(&evidence), "embedding-holes", Severity::Note), &[rows, "padding"]);
    // The zeros begin inside a row.
    files.tensor(EMBEDDING).data[1900 * row - row / 2..].fill(0);
    let evidence = Evidence { tokenizer: Ok(None), ..files.evidence() };
    says(only(&examine(&evidence), "embedding-holes", Severity::Fault), &[rows]);
}

#[test]
fn values_beyond_f16_are_a_note() {
    let findings = damaged(|files| {
        files.tensor("model.layers.2.mlp.up_proj.weight_scale").change(|scale| scale[0] *= 1e6);
    });
    faults(&findings, &[]);
    says(only(&findings, "f16-overflow", Severity::Note), &["2.activation", "infinities", "f32 or bf16"]);
}

#[test]
fn values_beyond_f32_are_a_fault() {
    let findings = damaged(|files| {
        files.tensor("model.layers.2.mlp.up_proj.weight_scale").change(|scale| scale[0] = 1e38);
    });
    says(only(&findings, "activations-finite", Severity::Fault), &["layer 2", "f32 overflows"]);
}
