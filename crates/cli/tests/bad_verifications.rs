//! A verification that cannot be done is refused in one sentence and leaves no run folder.

mod support;

use support::{
    Place,
    model::{Copy, MODEL, size},
};

/// The arguments of a verification that is small enough for a test, and more arguments.
fn verify<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = ["--calibration-tokens", "64", "--context-tokens", "96", "--scored-tokens", "32"];
    [&["verify", "--out", "run", "--recalls", "1"], &small[..], more].concat()
}

/// Returns a text of consecutive numbers, which has no repetitions.
fn numbers(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("{n} ")).collect()
}

#[test]
fn texts_that_are_too_short() {
    let place = Place::new();
    place.write("short/brief.txt", "Too short for anything.");
    for split in ["--calibration", "--evaluation"] {
        let says = ["brief.txt", "tokens", "use a longer text or a shorter context"];
        place.refuses(&verify(&["--model", MODEL, split, "short"]), &says);
    }
}

#[test]
fn files_that_are_not_texts() {
    let place = Place::new();
    let cases: [(&[u8], &[&str]); 2] = [
        (b"caf\xe9 and more", &["'a.txt' is not UTF-8 text", "byte 3"]),
        (b" \n\n", &["'a.txt' holds no text"]),
    ];
    for (content, says) in cases {
        place.write("texts/a.txt", content);
        for split in ["--calibration", "--evaluation"] {
            let place_of_error = format!("error: {split} texts: ");
            let says = [says, &[place_of_error.as_str()]].concat();
            place.refuses(&verify(&["--model", MODEL, split, "texts"]), &says);
        }
        place.refuses(&["profile", "--model", MODEL, "--texts", "texts"], says);
    }
}

#[test]
fn folders_without_texts() {
    let place = Place::new();
    place.write("none/notes.md", "no text here");
    place.refuses(
        &verify(&["--model", MODEL, "--evaluation", "none"]),
        &["error: --evaluation: 'none' holds no .txt file: put one"],
    );
    place.refuses(
        &verify(&["--model", MODEL, "--calibration", "absent"]),
        &["error: --calibration: cannot read 'absent'", "No such"],
    );
}

#[test]
fn texts_for_both_calibration_and_evaluation() {
    let place = Place::new();
    place.write("one/a.txt", numbers(0, 1000));
    place.write("same/b.txt", numbers(0, 1000));
    let says = ["'a'", "'b'", "same content", "remove one"];
    place.refuses(&verify(&["--model", MODEL, "--calibration", "one", "--evaluation", "same"]), &says);
    // One common passage is enough, even with other line breaks.
    place
        .write("part/c.txt", numbers(5000, 300) + &numbers(400, 20).replace(' ', "\n") + &numbers(7000, 300));
    let says = ["calibration text 'a'", "evaluation text 'c'", "400 401", "tuned on"];
    place.refuses(&verify(&["--model", MODEL, "--calibration", "one", "--evaluation", "part"]), &says);
}

#[test]
fn run_folders_that_cannot_be_created() {
    let place = Place::new();
    place.write("file", "in the way");
    for (out, says) in [("file/run", "file/.run.partial"), ("/", "plain name"), ("..", "plain name")] {
        let arguments = ["verify", "--model", MODEL, "--out", out];
        place.refuses(&arguments, &[says]);
    }
}

#[test]
fn contexts_that_do_not_fit() {
    let place = Place::new();
    let longest = size("max_position_embeddings").to_string();
    for tokens in [&longest, "18446744073709551615"] {
        let says = [MODEL, &longest, "--context-tokens"];
        place.refuses(&["verify", "--model", MODEL, "--out", "run", "--context-tokens", tokens], &says);
    }
    for (option, says) in [
        ("--context-tokens", "--context-tokens is 0: use 64 or more"),
        ("--scored-tokens", "--scored-tokens is 0: use 1 or more"),
    ] {
        place.refuses(&["verify", "--model", MODEL, "--out", "run", option, "0"], &[says]);
    }
    for count in ["10001", "18446744073709551615"] {
        let says = ["--recalls", count, "use at most 10000"];
        place.refuses(&["verify", "--model", MODEL, "--out", "run", "--recalls", count], &says);
    }
}

/// The errors name the options, because the user has no file with the definition.
#[test]
fn policies_and_budgets_that_are_unknown_or_given_twice() {
    let place = Place::new();
    let budgets = "0.5, 0.2, 0.1";
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--budget", "0.7"], &["--budget 0.7 is not a budget of the verification: ", budgets]),
        (
            &["--budget", "0.22"],
            &["--budget 0.22 is not", "write '0.2' if that is meant, or another of ", budgets],
        ),
        (&["--budget", "1"], &["--budget 1 is not a budget of the verification: ", budgets]),
        (&["--budget", "0.5", "--budget", "0.50"], &["error: --budget 0.5 is given twice: remove one"]),
        (&["--policy", "entropy-globl"], &["--policy entropy-globl is not", "write 'entropy-global'"]),
        (
            &["--policy", "uniform+recency", "--policy", "uniform + recency"],
            &["error: --policy uniform + recency is given twice: remove one"],
        ),
        // A wrong option is found before a model.
        (&["--model", "absent", "--budget", "0.7"], &["--budget 0.7 is not"]),
    ];
    for (options, says) in cases {
        place.refuses(&verify(options), says);
    }
}

/// A model that is given twice would only be measured twice.
#[test]
fn a_model_that_is_given_twice() {
    let place = Place::new();
    let twice = format!("--model {MODEL} is given twice: give it once");
    place.refuses(&verify(&["--model", MODEL, "--model", MODEL]), &[&twice]);
    Copy::new(&place, &format!("other/{MODEL}"));
    let other = format!("other/{MODEL}");
    let says = [MODEL, &other, "the same model", "give one of them"];
    place.refuses(&verify(&["--model", MODEL, "--model", &other]), &says);
}

#[test]
fn a_file_is_no_run_folder() {
    let place = Place::new();
    place.write("notes.txt", "mine");
    place.refuses(&["verify", "--out", "notes.txt"], &["--out notes.txt is a file", "name a folder"]);
}

/// If the second model cannot be loaded, the first one, which was already measured, leaves no run.
#[test]
fn a_second_model_that_fails() {
    let place = Place::new();
    let broken = Copy::new(&place, "broken");
    broken.change_tensors(|tensors| drop(tensors.remove("model.norm.weight")));
    place.write("cal/a.txt", numbers(0, 1000));
    place.write("eval/b.txt", numbers(5000, 1000));
    let texts = ["--calibration", "cal", "--evaluation", "eval"];
    let models = ["--model", MODEL, "--model", "broken"];
    let says = ["broken/model.safetensors", "model.norm.weight"];
    place.refuses(&verify(&[&models[..], &texts].concat()), &says);
    place.refuses(
        &verify(&[&["--model", MODEL, "--model", "absent"], &texts[..]].concat()),
        &["there is no model absent"],
    );
}
