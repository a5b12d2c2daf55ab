//! A definition that cannot be run is refused in one sentence before anything is computed, and leaves no
//! file.

mod support;

use support::{
    Place,
    grid::{RUN, definition, numbers},
    model::BUILT_IN,
};

/// Asserts that the small definition with one change is refused with a message that contains the file and all
/// of `says`.
#[track_caller]
fn refuses(place: &Place, from: &str, to: &str, says: &[&str]) {
    refuses_text(place, &definition(&[(from, to)]), says);
}

/// Asserts the same for any definition, with and without `--dry-run`.
#[track_caller]
fn refuses_text(place: &Place, text: &str, says: &[&str]) {
    place.write("small.toml", text);
    let says = [&["small.toml"], says].concat();
    place.refuses(&["run", "small.toml", "--out", RUN], &says);
    place.refuses(&["run", "small.toml", "--dry-run"], &says);
}

const IN: &str = "experiment 'small'";

#[test]
fn unknown_and_missing_keys() {
    let place = Place::with_texts();
    refuses(&place, "horizon", "horizons", &[IN, "no key 'horizons'", "write 'horizon'"]);
    refuses(&place, "[[experiment]]", "[[experiments]]", &["no key 'experiments'", "write 'experiment'"]);
    refuses(&place, "{ tokens = 64 }", "{ token = 64 }", &[IN, "'calibration.token'", "write 'tokens'"]);
    refuses(&place, "context = 64\n", "", &[IN, "context is missing", "add a line such as"]);
    refuses(&place, "context = 64", "context = \"64\"", &[IN, "context = \"64\"", "write a whole number"]);
    refuses(&place, "context = 64", "context = ", &["line 8 is not TOML"]);
}

#[test]
fn files_that_are_not_definitions() {
    let place = Place::with_texts();
    refuses_text(&place, "no TOML at all", &["line 1 is not TOML"]);
    refuses_text(&place, "", &["analysis is missing", "Refuted if"]);
    place.refuses(&["run", "absent.toml"], &["there is no definition absent.toml: name a TOML file"]);
    place
        .refuses(&["run", "texts"], &["texts is a folder: name a definition in it, such as texts/NAME.toml"]);
    place.write("latin.toml", b"analysis = \"caf\xe9\"");
    place.refuses(&["run", "latin.toml"], &["latin.toml", "UTF-8"]);
}

#[test]
fn unknown_methods() {
    let place = Place::with_texts();
    let refuses_policy = |policy: &str, says: &[&str]| {
        let says = [&[IN, "policies", policy], says].concat();
        refuses(&place, "\"uniform+recency\"", &format!("\"{policy}\""), &says);
    };
    refuses_policy("uniform+recensy", &["recency"]);
    refuses_policy("unifrom+recency", &["uniform"]);
    refuses_policy("streaming-lm", &["streaming-llm"]);
    refuses_policy("kvpress:snapvk", &["kvpress:snapkv"]);
    refuses_policy("uniform+recency{sink=2}", &["sink", "sinks"]);
    refuses_policy("uniform+recency{sinks=-2}", &["sinks", "-2"]);
    refuses_policy("uniform+recency{sinks=}", &["sinks="]);
    refuses_policy("adaptive+recency", &["adaptive", "recency"]);
}

#[test]
fn impossible_budgets() {
    let place = Place::with_texts();
    let refuses_budget = |budget: &str, says: &[&str]| {
        refuses(&place, "0.25", budget, &[&[IN, "budgets"], says].concat());
    };
    for budget in ["0.0", "1.5", "-0.5", "nan"] {
        refuses_budget(budget, &["is not a fraction in (0, 1]", "such as 0.5"]);
    }
    refuses_budget("25", &["25", "\"25 tokens\""]);
    refuses_budget("\"0 tokens\"", &["'0 tokens'", "keeps nothing", "at least 1"]);
    refuses_budget("\"65 tokens\"", &["65 tokens", "64 tokens of a context", "write a smaller budget"]);
    refuses_budget("\"1000 B\"", &["1000 B", "8 KV heads of first-gqa", "at least 1024 B"]);
    refuses_budget("\"some\"", &["'some' is not a budget", "such as 0.5"]);
    refuses_budget("\"0.2 by entropy\"", &["'entropy'", "entropy-global"]);
    refuses_budget("0.5", &["0.5 twice"]);
    refuses(&place, "1.0, ", "", &[IN, "budgets lacks 1.0", "add 1.0"]);
}

#[test]
fn experiments_without_controls_or_values() {
    let place = Place::with_texts();
    refuses(
        &place,
        "\"full\", ",
        "",
        &[IN, "policies lacks the full cache, which every experiment needs as a reference: add \"full\", or"],
    );
    for (control, example) in [
        ("\"full\", ", "full"),
        (", \"uniform+random\"", "uniform+random"),
        (", \"uniform+oracle\"", "uniform+oracle"),
    ] {
        refuses(
            &place,
            control,
            "",
            &[IN, "policies lacks", &format!("add \"{example}\""), "controls = false"],
        );
    }
    refuses(&place, "Refuted", "Unclear", &["analysis must say", "Refuted if"]);
    let end = "calibration = { tokens = 64 }";
    refuses(&place, end, "controls = false", &[IN, "controls = false needs a reason"]);
    for (list, key) in [("[1.0, 0.5, 0.25]", "budgets"), ("[\"first-gqa\"]", "models")] {
        refuses(&place, list, "[]", &[IN, key, "empty"]);
    }
    for key in ["seeds", "kv", "when", "positions", "metrics", "tasks", "forms"] {
        refuses(&place, end, &format!("{key} = []"), &[IN, key, "empty"]);
    }
    let again = definition(&[]) + &definition(&[])[definition(&[]).find("[[").unwrap()..];
    refuses_text(&place, &again, &["two sections are named 'small'", "rename"]);
}

#[test]
fn one_policy_written_in_two_ways() {
    let place = Place::with_texts();
    let twice = "\"uniform+recency\", \"uniform+recency{sinks=4}\"";
    refuses(&place, "\"uniform+recency\"", twice, &[IN, "uniform+recency{sinks=4}", "twice", "remove one"]);
    let twice = "\"uniform+recency\", \"uniform+recency\"";
    refuses(&place, "\"uniform+recency\"", twice, &[IN, "policies", "twice"]);
}

#[test]
fn models_and_texts_that_do_not_fit() {
    let place = Place::with_texts();
    refuses(&place, "first-gqa", "first-gpa", &[IN, "models", "no model first-gpa: use", BUILT_IN]);
    refuses(
        &place,
        "context = 64",
        "context = 1020",
        &[IN, "context", "1036 positions", "first-gqa has 1024", "shorten"],
    );
    place.write("short/brief.txt", "Too short for anything.");
    refuses(&place, "\"texts\"", "\"short\"", &[IN, "brief", "texts", "longer text or a shorter context"]);
    refuses(&place, "\"texts\"", "\"absent\"", &[IN, "texts", "absent", "No such file"]);
    place.write("none/notes.md", "no text here");
    refuses(&place, "\"texts\"", "\"none\"", &[IN, "none", "no .txt file"]);
    refuses(&place, "\"texts\"", "\"calibration\"", &[IN, "texts = \"calibration\"", "write \"evaluation\""]);
}

#[test]
fn texts_for_both_calibration_and_evaluation() {
    let place = Place::with_texts();
    place.write("same/other.txt", numbers(7000, 400));
    place.write("part/piece.txt", numbers(1, 300) + &numbers(1100, 50) + &numbers(300, 300));
    let end = "{ tokens = 64 }";
    for (folder, names) in [("same", ["'other'", "'later'"]), ("part", ["'piece'", "'counting'"])] {
        let to = format!("{{ texts = \"{folder}\" }}");
        refuses(&place, end, &to, &[IN, "texts", "nothing in common", names[0], names[1]]);
    }
    refuses(&place, end, "{ texts = \"texts\" }", &[IN, "texts", "nothing in common"]);
}

#[test]
fn calibrations_of_other_models() {
    let place = Place::with_texts();
    place.tokens("tokens.json", 48);
    for model in ["first-mha", "first-gqa"] {
        let file = format!("{model}.json");
        place.json(&["profile", "--model", model, "--tokens", "tokens.json", "--out", &file]);
    }
    let entropy = definition(&[("uniform+recency", "entropy+recency")]);
    let refuses_profile = |file: &str, says: &[&str]| {
        let text = entropy.replace("{ tokens = 64 }", &format!("{{ profile = \"{file}\" }}"));
        refuses_text(&place, &text, &[&[IN, "calibration.profile"], says].concat());
    };
    refuses_profile("first-mha.json", &["first-mha.json", "of first-mha, not of first-gqa", "of this model"]);
    refuses_profile("absent.json", &["absent.json"]);
    place.write("wrong.json", "{\"model\": 3}");
    refuses_profile(
        "wrong.json",
        &["wrong.json", "not a valid", "use a file that `bitkv profile --out` wrote"],
    );
    let own = bitkv_record::Profile::read(&place.path("first-gqa.json")).unwrap();
    let layers = &own.entropies()[..2];
    let half = bitkv_record::Profile::new("first-gqa", None, vec![], own.thresholds, layers).unwrap();
    half.write(&place.path("half.json"), bitkv_bytes::Existing::Replace).unwrap();
    place.json(&[
        "profile",
        "--model",
        "first-gqa",
        "--texts",
        "texts",
        "--context",
        "64",
        "--out",
        "judged.json",
    ]);
    refuses_profile(
        "judged.json",
        &["judged.json was measured on", "also an evaluation text", "other texts"],
    );
    refuses_profile("half.json", &["half.json", "16 heads", "has 32", "of this model"]);
    // A profile is checked even if no policy reads it.
    let text = definition(&[("{ tokens = 64 }", "{ profile = \"first-mha.json\" }")]);
    refuses_text(&place, &text, &[IN, "not of first-gqa"]);
    let scores = definition(&[("uniform+recency", "head-scores+recency")]);
    refuses_text(
        &place,
        &scores,
        &[IN, "policies", "`head-scores+recency` needs head scores", "head-scores = \"FILE\""],
    );
    place.write("scores.json", "[[0.5, 0.5]]");
    let scores = scores.replace("tokens = 64", "tokens = 64, head-scores = \"scores.json\"");
    refuses_text(&place, &scores, &[IN, "calibration.head-scores", "scores.json"]);
}

/// This is found before anything is computed, not when the entropies are needed.
#[test]
fn calibration_texts_that_are_too_short() {
    let place = Place::with_texts();
    place.write("short/brief.txt", "Too short for anything.");
    let entropy = definition(&[("uniform+recency", "entropy+recency")]);
    for (calibration, says) in [
        ("{ texts = \"short\", tokens = 64 }", "shorter context"),
        ("{ tokens = 1025 }", "1024 positions of first-gqa"),
    ] {
        let text = entropy.replace("{ tokens = 64 }", calibration);
        refuses_text(&place, &text, &[IN, "calibration.tokens", says]);
    }
}

/// The gaps of the file come together with those that only the registry and the models show.
#[test]
fn all_gaps_are_reported_at_once() {
    let place = Place::with_texts();
    let text = definition(&[
        ("Refuted", "Unclear"),
        ("1.0, ", ""),
        (", \"uniform+random\", \"uniform+oracle\"", ", \"uniform+nonsense\""),
        ("[\"first-gqa\"]", "[\"first-gqa\", \"absent\"]"),
        ("texts = \"texts\"", "texts = \"nowhere\""),
        ("context = 64", "context = 64\ntasks = [\"passky\"]"),
    ]);
    let says = [
        "'small.toml' has 7 gaps: (1) analysis must say",
        "(2) experiment 'small': tasks: 'passky' is not a known task: write 'passkey'",
        "(3) experiment 'small': budgets lacks 1.0",
        "(4) experiment 'small': policies lacks random choice with uniform budgets and an oracle",
        "(5) experiment 'small': policies lists `uniform+nonsense`: there is no scorer named `nonsense`",
        "(6) experiment 'small': texts: cannot read",
        "(7) experiment 'small': models: there is no model absent",
    ];
    refuses_text(&place, &text, &says);
    // An experiment that is not run has only the gaps that its file shows.
    place.write("small.toml", &text);
    let other = ["run", "small.toml", "--only", "other"];
    place.refuses(&other, &["'small.toml' has 4 gaps: (1) analysis must say", "(4)", "policies lacks"]);
}

/// What only a loaded model shows is reported for every experiment and model.
#[test]
fn all_gaps_of_models_are_reported_at_once() {
    let place = Place::with_texts();
    let long = definition(&[
        ("context = 64", "context = 1020"),
        ("[\"first-gqa\"]", "[\"first-mha\", \"first-gqa\"]"),
    ]);
    let budget = definition(&[("\"small\"", "\"other\""), ("0.25", "\"1000 B\"")]);
    let text = long + &budget[budget.find("[[").unwrap()..];
    let says = [
        "'small.toml' has 3 gaps: (1) experiment 'small': the context and the scored tokens take 1036 positions, and first-mha",
        "(2) experiment 'small': the context and the scored tokens take 1036 positions, and first-gqa",
        "(3) experiment 'other': budgets: 1000 B does not hold",
    ];
    refuses_text(&place, &text, &says);
}
