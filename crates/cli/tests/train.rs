//! `bitkv train`: recipes that cannot be trained, trainings that resume, and a full standard error.

mod support;

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    process::Stdio,
};

use support::{
    Place,
    training::{RECIPE, text},
};

/// A training in the folder `run`, with more arguments.
fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--recipe", "recipe.toml", "--corpus", "corpus", "--out", "run"], more].concat()
}

#[test]
fn a_resumed_training_gives_the_same_model_and_a_changed_one_is_refused() {
    let place = Place::with_corpus();
    place.text(&train(&["--export", "whole"]));
    fs::rename(place.path("run"), place.path("first")).unwrap();
    place.text(&train(&["--steps", "1"]));
    place.write("recipe.toml", RECIPE.replace("decay = 0.1", "decay = 0.2"));
    place.refuses(&train(&[]), &["decay of stage 1 = 0.1", "now it is 0.2", "empty folder"]);
    place.write("recipe.toml", RECIPE);
    place.write("corpus/train.txt", text(9001));
    place.refuses(&train(&[]), &["train.txt is another text"]);
    fs::remove_file(place.path("corpus/train.txt")).unwrap();
    place.text(&train(&["--steps", "18446744073709551615", "--export", "parts"]));
    let model = |name: &str| fs::read(place.path(name).join("model.safetensors")).unwrap();
    assert!(model("whole") == model("parts"), "the resumed training gives another model");
    place.refuses(&train(&["--export", "parts"]), &["parts is not an empty folder"]);
    let data = fs::read(place.path("run/data/train.bin")).unwrap();
    place.write("run/data/train.bin", &data[..data.len() / 2]);
    place.refuses(&train(&[]), &["train.bin was changed after it was prepared"]);
}

#[test]
fn recipes_out_of_reach_are_refused() {
    let place = Place::with_corpus();
    for (from, to) in [
        ("batch = 1", "batch = 9223372036854775807"),
        ("hidden = 32", "hidden = 1048576"),
        ("layers = 1", "layers = 1000000000"),
        ("layers = 1", "layers = 0"),
        ("rate = [1e-3, 1e-4]", "rate = [nan, 1e-4]"),
        ("decay = 0.1", "decay = -1.0"),
        ("\"small\"", "\"../x\""),
    ] {
        let wide = if to.starts_with("hidden") { ("layers = 1", "layers = 4096") } else { ("", "") };
        place.write("recipe.toml", RECIPE.replacen(from, to, 1).replacen(wide.0, wide.1, 1));
        place.refuses(&train(&[]), &[]);
    }
    place.write("recipe.toml", RECIPE);
    place.refuses(&train(&["--max-memory", "1MiB"]), &["the training of small needs about", "allowed"]);
}

/// The device `/dev/full` refuses every byte, as a full disk does.
#[test]
fn a_full_standard_error_changes_no_exit_code() {
    let place = Place::with_corpus();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    if fs::metadata("/dev/full").is_ok_and(|metadata| metadata.rdev() != 0) {
        let status = place.command(&train(&["--verbose"])).stderr(full()).stdout(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(0));
        let status = place.command(&train(&["--steps", "x"])).stderr(full()).status();
        assert_eq!(status.unwrap().code(), Some(2));
        let status = place.command(&["inspect", "/nope"]).stderr(full()).status();
        assert_eq!(status.unwrap().code(), Some(1));
    }
}
