//! Files that are something else than their names say: messages say what they are, and what to do.

mod support;

use std::fs;

use support::{
    Place,
    model::{Copy, MODEL, original},
};

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 125348\n";
const PAGE: &[u8] = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";
const SERVER: &[u8] = b"{\"error\":\"Invalid username or password.\"}";
const OLD_PICKLE: &[u8] = b"\x80\x02}q\x00(X\x19\x00\x00\x00model.embed_tokens.weight";

/// The content of a file, and words of the message about it.
const MISPLACED: [(&[u8], &[&str]); 8] = [
    (POINTER, &["it is a git-lfs pointer, not the file itself: run `git lfs pull`"]),
    (PAGE, &["it is an HTML page", "download the file itself"]),
    (SERVER, &["it is the error message of a server"]),
    (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", &["the error message of a server"]),
    (b"", &["it is empty: download it again"]),
    (b"\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03", &["it is compressed with gzip: unpack it first"]),
    (b"\xFF\xFE{\x00\"\x00", &["it is text in UTF-16: save it as UTF-8"]),
    (OLD_PICKLE, &["it is a PyTorch file of pickled data: convert it to safetensors"]),
];

#[test]
fn weights_and_configurations() {
    let place = Place::new();
    let bad = Copy::new(&place, "bad");
    for file in ["model.safetensors", "config.json", "generation_config.json", "model.safetensors.index.json"]
    {
        if file.ends_with("index.json") {
            fs::remove_file(place.path("bad/model.safetensors")).unwrap();
        }
        for (content, says) in MISPLACED {
            bad.with(file, content);
            place.refuses(&["inspect", "bad"], &[&[&format!("cannot read bad/{file}: ")[..]], says].concat());
        }
        bad.with("config.json", fs::read(original("config.json")).unwrap());
        bad.with("model.safetensors", fs::read(original("model.safetensors")).unwrap());
        bad.with("generation_config.json", "{}");
    }
    for (content, says) in MISPLACED {
        place.write("bad.gguf", content);
        place.refuses(&["inspect", "bad.gguf"], &[&["cannot read bad.gguf: "], says].concat());
    }
    place.text(&["convert", MODEL, "good.gguf", "--to", "i2_s"]);
    bad.with("model.safetensors", fs::read(place.path("good.gguf")).unwrap());
    place.refuses(&["inspect", "bad"], &["it is a GGUF file: let its name end in .gguf"]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let place = Place::new();
    let copy = Copy::new(&place, "marked");
    let config = fs::read(original("config.json")).unwrap();
    let right = place.json(&["inspect", MODEL, "--summary"]);
    copy.with("config.json", [b"\xEF\xBB\xBF", &config[..]].concat());
    assert_eq!(place.json(&["inspect", "marked", "--summary"])["config"], right["config"]);
    place.write("tokens.json", b"\xEF\xBB\xBF[1, 5, 9]");
    place.json(&["generate", "--model", MODEL, "--tokens", "tokens.json", "--max-tokens", "1"]);
}

#[test]
fn files_that_users_name() {
    let place = Place::new();
    for (content, says) in MISPLACED {
        place.write("tokens.json", content);
        place.refuses(&["generate", "--model", MODEL, "--tokens", "tokens.json"], says);
    }
    let policy = ["--policy", "uniform+recency", "--budget", "0.5"];
    for (content, says) in [MISPLACED[0], MISPLACED[5], MISPLACED[6]] {
        place.write("text.txt", content);
        place.refuses(&[&["plan", "--model", MODEL, "--text", "text.txt"], &policy[..]].concat(), says);
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_and_not_waited_for() {
    let place = Place::new();
    let folder = Copy::new(&place, "bad");
    for file in ["generation_config.json", "config.json", "model.safetensors"] {
        let path = place.path(&format!("bad/{file}"));
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        place.refuses(&["inspect", "bad"], &[file]);
        fs::remove_file(&path).unwrap();
        if file != "generation_config.json" {
            folder.with(file, fs::read(original(file)).unwrap());
        }
    }
    std::os::unix::fs::symlink("/dev/zero", place.path("zero.gguf")).unwrap();
    place.refuses(&["inspect", "zero.gguf"], &["zero.gguf", "it is a pipe, a socket or a device"]);
}
