//! Cells that fail: their rows have the reason, the other cells are measured, and the exit code is 1.

mod support;

use std::{fs, process::Output};

use support::{
    Place,
    grid::{RUN, definition, rows},
    model::{Copy, MODEL},
};

/// Studies of the model `big`, which cannot be measured either.
const STUDIES: &str = r#"
[[profile]]
name = "entropies"
models = ["big", "first-gqa"]
texts = "texts"
lengths = [32]

[[memory]]
name = "bytes"
models = ["big", "first-gqa"]
contexts = [32]
accounting = ["actual", "measured"]
"#;

/// Makes the model `big`, whose values are too large for a cache in f16.
fn big(place: &Place) {
    Copy::new(place, "big").change_tensors(|tensors| {
        for name in ["v_proj", "k_proj"] {
            let scale = tensors.get_mut(&format!("model.layers.0.self_attn.{name}.weight_scale")).unwrap();
            let value = scale.f32s()[0];
            // Packed folders store what a product is multiplied by, or its reciprocal: both make one layer
            // overflow.
            scale.data = (value * 1e6).to_le_bytes().to_vec();
        }
    });
}

/// Asserts that the command ended with exit code 1 and one error, and returns the error.
#[track_caller]
fn error(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = said.lines().find(|line| line.starts_with("error: "));
    error.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn a_model_that_overflows_fails_and_the_others_are_measured() {
    let place = Place::with_texts();
    big(&place);
    let models = [("[\"first-gqa\"]", "[\"big\", \"first-gqa\"]")];
    place.write("small.toml", definition(&models) + STUDIES);
    let output = place.run(&["run", "small.toml", "--out", RUN, "--json"]);
    let said = error(&output);
    let all = rows(&place.path(RUN));
    let failed = all.iter().filter(|row| row.error.is_some()).count();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["failed"].as_u64().unwrap() as usize >= failed);
    assert!(failed > 0 && said.contains("rows failed, and the others are in runs/small"), "{said}");
    let own: Vec<_> = all.iter().filter(|row| row.model == MODEL).collect();
    assert_eq!(own.len(), 26);
    assert!(own.iter().all(|row| row.error.is_none() && row.kl_nats.is_some()));
    assert_eq!(all.len(), 52, "every cell has a row");
    assert!(place.text(&["report", RUN]).contains("first-gqa"));
    fs::remove_dir_all(place.path("runs")).unwrap();

    // Without a model that fails, only the length of the texts is said.
    place.write("small.toml", definition(&[]));
    let output = place.run(&["run", "small.toml", "--out", RUN]);
    assert!(output.status.success());
    let note = "note: small: 2 of 2 texts are longer than 81 tokens: their first 81 are used\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), note);
}
