//! `bitkv train`: recipes that cannot be trained, trainings that resume, and a full standard error.

mod support;

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    process::Stdio,
};

use support::Place;

const RECIPE: &str = r#"
name = "small"
seed = 1
data-seed = 2
checkpoint-every = 2
validate-every = 4

[shape]
style = "2b-4t"
vocabulary = 448
hidden = 32
intermediate = 64
layers = 1
query-heads = 2
kv-heads = 1
head-dim = 32
rope-theta = 10000
max-positions = 96

[[stage]]
steps = 4
length = 64
batch = 1
synthetic = 0.5
distance = 16
rate = [1e-3, 1e-4]
decay = 0.1
"#;

/// Returns a text of made-up words.
fn text(words: u32) -> String {
    let letter = |n: u32| char::from(b'a' + (n % 26) as u8);
    let word = |i: u32| -> String {
        let n = i.wrapping_mul(2_654_435_761) >> 16;
        [n / 7, n / 11, n / 13].map(letter).iter().collect()
    };
    (0..words).map(|i| word(i % 150) + if i % 9 == 8 { "\n" } else { " " }).collect()
}

fn place() -> Place {
    let place = Place::new();
    place.write("corpus/train.txt", text(9000));
    place.write("corpus/valid.txt", text(7000));
    place.write("recipe.toml", RECIPE);
    place
}

/// A training in the folder `run`, with more arguments.
fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--recipe", "recipe.toml", "--corpus", "corpus", "--out", "run"], more].concat()
}

#[test]
fn a_resumed_training_gives_the_same_model_and_a_changed_one_is_refused() {
    let place = place();
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
    let place = place();
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
    let place = place();
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
