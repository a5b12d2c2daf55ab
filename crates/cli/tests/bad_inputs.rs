//! Every impossible argument and input file is refused in one sentence that says what to do.

mod support;

use support::{
    Place,
    model::{Copy, MODEL, size},
};

/// The start of a command line that uses the trained model.
fn on(command: &'static str) -> Vec<&'static str> {
    vec![command, "--model", MODEL]
}

const POLICY: [&str; 4] = ["--policy", "uniform+recency", "--budget", "0.5"];

#[test]
fn token_files() {
    let place = Place::new();
    let (vocabulary, longest) = (size("vocab_size"), size("max_position_embeddings"));
    let outside = format!("[1, 2, {vocabulary}]");
    let outside_said = format!("token id {vocabulary} at index 2");
    let too_long = format!("[5{}]", ", 5".repeat(longest));
    let too_long_said =
        format!("has {} tokens, but {MODEL} has only {longest} positions: shorten it", longest + 1);
    let cases: [(&[u8], &[&str]); 8] = [
        (b"[1, 2", &["not a JSON array of token ids such as [1, 2, 3]"]),
        (b"{\"ids\": [1]}", &["not a JSON array of token ids such as [1, 2, 3]"]),
        (b"[\"one\"]", &["not a JSON array of token ids", "one"]),
        (b"[1, -2]", &["not a JSON array of token ids", "-2"]),
        (b"\xff\xfe", &["UTF-8"]),
        (b"[]", &["holds no token ids", "put at least one"]),
        (outside.as_bytes(), &[&outside_said, "vocabulary", MODEL]),
        (too_long.as_bytes(), &[&too_long_said]),
    ];
    for (content, says) in cases {
        place.write("tokens.json", content);
        let says = [says, &["tokens.json"]].concat();
        let tokens = ["--tokens", "tokens.json"];
        place.refuses(&[&on("plan")[..], &tokens, &POLICY].concat(), &says);
        place.refuses(&[&on("generate")[..], &tokens].concat(), &says);
        place.refuses(&[&on("profile")[..], &tokens].concat(), &says);
    }
    place.refuses(&[&on("generate")[..], &["--tokens", "absent.json"]].concat(), &["absent.json", "No such"]);
    place.write("one.json", "[7]");
    place.refuses(&[&on("profile")[..], &["--tokens", "one.json"]].concat(), &["one.json", "two or more"]);
}

#[test]
fn budgets() {
    let place = Place::new();
    place.tokens("tokens.json", 40);
    for budget in ["0", "-0.1", "1.5", "NaN", "inf"] {
        let says = [&format!("--budget {budget} is outside (0, 1]: give"), "such as 0.5"];
        for command in ["plan", "generate"] {
            let chosen = ["--tokens", "tokens.json", "--policy", "uniform+recency", "--budget", budget];
            place.refuses(&[&on(command)[..], &chosen].concat(), &says);
        }
    }
}

#[test]
fn policies() {
    let place = Place::new();
    place.tokens("tokens.json", 40);
    let cases: [(&str, &[&str]); 8] = [
        ("nonsense", &["no policy named `nonsense`", "entropy-global", "snapkv", "ALLOCATOR+SCORER"]),
        ("uniform", &["`uniform` is an allocator", "`uniform+recency`"]),
        ("recency", &["`recency` is a scorer", "`uniform+recency`"]),
        ("uniform+nonsense", &["no scorer named `nonsense`", "key-norm"]),
        ("nonsense+recency", &["no allocator named `nonsense`", "entropy"]),
        ("uniform+recency{nonsense=1}", &["`recency` has no option `nonsense`", "sinks"]),
        ("uniform+recency{sinks=-1}", &["option `sinks` of `recency` cannot be -1"]),
        ("uniform+oracle", &["uniform+oracle", "use another policy"]),
    ];
    for (policy, says) in cases {
        for command in ["plan", "generate"] {
            let chosen = ["--tokens", "tokens.json", "--policy", policy, "--budget", "0.5"];
            place.refuses(&[&on(command)[..], &chosen].concat(), says);
        }
    }
}

#[test]
fn profiles() {
    let place = Place::new();
    place.tokens("tokens.json", 40);
    let needy = ["--tokens", "tokens.json", "--policy", "entropy+recency", "--budget", "0.5"];
    let plan_with = |file| [&on("plan")[..], &needy, &["--profile", file]].concat();
    place.refuses(&plan_with("absent.json"), &["absent.json", "No such"]);
    place.refuses(
        &plan_with("tokens.json"),
        &["tokens.json", "is not an entropy profile", "bitkv profile --out"],
    );
    // The same model with one layer fewer has fewer heads.
    let layers = size("num_hidden_layers");
    let shallow = Copy::new(&place, "shallow");
    shallow.change_json("config.json", |config| config["num_hidden_layers"] = (layers - 1).into());
    let last = format!("model.layers.{}.", layers - 1);
    shallow.change_tensors(|tensors| tensors.retain(|name, _| !name.starts_with(&last)));
    place.json(&["profile", "--model", "shallow", "--tokens", "tokens.json", "--out", "shallow.json"]);
    place.refuses(
        &plan_with("shallow.json"),
        &["shallow.json", "a profile of shallow", MODEL, "use a profile of this model"],
    );
    // A profile of another model under the name of this one.
    let named = std::fs::read_to_string(place.path("shallow.json")).unwrap().replace("shallow", MODEL);
    std::fs::write(place.path("named.json"), named).unwrap();
    place.refuses(
        &plan_with("named.json"),
        &["named.json was measured with other files than", MODEL, "measure a profile of this model"],
    );
    Copy::new(&place, "mute").without("tokenizer.json");
    let unprofiled = [&["plan", "--model", "mute"], &needy[..]].concat();
    place.refuses(&unprofiled, &["entropy+recency needs a profile of mute", "--profile"]);
}

#[test]
fn profile_contexts_and_outputs() {
    let place = Place::new();
    place.refuses(&[&on("profile")[..], &["--context", "1"]].concat(), &["1", "2 tokens or more"]);
    place.refuses(
        &[&on("profile")[..], &["--context", "9999"]].concat(),
        &["--context 9999 is more than", "or fewer"],
    );
    place.tokens("tokens.json", 40);
    let nowhere = ["--tokens", "tokens.json", "--out", "nowhere/profile.json"];
    place.refuses(
        &[&on("profile")[..], &nowhere].concat(),
        &["--out nowhere/profile.json", "there is no folder nowhere: make it first"],
    );
}

#[test]
fn texts_without_a_tokenizer() {
    let place = Place::new();
    Copy::new(&place, "mute").without("tokenizer.json");
    place.write("text.txt", "a few words");
    let says =
        ["mute has no tokenizer.json", "or give token ids with --tokens to generate, trace, plan or profile"];
    place.refuses(&["generate", "--model", "mute", "--prompt", "words"], &says);
    place.refuses(&[&["plan", "--model", "mute", "--text", "text.txt"], &POLICY[..]].concat(), &says);
    place.refuses(&["verify", "--model", "mute", "--out", "run"], &says);
}

#[test]
fn missing_and_unreadable_contexts() {
    let place = Place::new();
    place.refuses(&on("generate"), &["--prompt", "--tokens"]);
    place.refuses(&[&on("plan")[..], &POLICY].concat(), &["--tokens", "--text"]);
    place.write("text.txt", b"caf\xe9");
    let plan = [&on("plan")[..], &POLICY, &["--text", "text.txt"]].concat();
    place.refuses(&plan, &["text.txt is not UTF-8: convert it first"]);
    place.write("text.txt", "  \n");
    place.refuses(&plan, &["text.txt is empty"]);
}

#[test]
fn sampling() {
    let place = Place::new();
    for (option, value, remedy) in [
        ("--temperature", "-1", "must be a positive number, or 0 to always choose"),
        ("--temperature", "NaN", "must be a positive number, or 0 to always choose"),
        ("--top-p", "2", "must be above 0 and at most 1: use 1"),
        ("--repetition-penalty", "0", "must be a positive number: use 1"),
    ] {
        let arguments = [&on("generate")[..], &["--prompt", "a", option, value]].concat();
        place.refuses(&arguments, &[&format!("{option} is {value}, but {remedy}")]);
    }
}

#[test]
fn texts_longer_than_the_model() {
    let place = Place::new();
    let (text, longest) = ("a ".repeat(size("max_position_embeddings") + 1), size("max_position_embeddings"));
    let remedy = format!("shorten it, or give --first N to use its first N tokens, at most {longest}");
    let says = [&format!("tokens, but {MODEL} has only {longest} positions: {remedy}")[..]];
    place.write("long.txt", &text);
    place.refuses(&[&on("plan")[..], &POLICY, &["--text", "long.txt"]].concat(), &["long.txt has", says[0]]);
    for command in ["generate", "trace"] {
        let arguments = [&on(command)[..], &["--prompt", &text]].concat();
        place.refuses(&arguments, &["--prompt has", says[0]]);
        let more = (longest + 1).to_string();
        let says = format!("--first {more} is more than the {longest} positions of {MODEL}: give --first N");
        place.refuses(&[&arguments[..], &["--first", &more]].concat(), &[&says]);
    }
}

#[test]
fn budgets_of_other_units() {
    let place = Place::new();
    place.tokens("tokens.json", 40);
    for (option, value, says) in [
        ("--ratio", "1", "--ratio 1 is outside [0, 1): give the fraction of the cache to remove"),
        ("--budget-tokens", "0", "--budget-tokens 0 would empty the cache: give at least 1"),
        ("--budget-bytes", "0", "--budget-bytes 0 would empty the cache: give at least one token"),
    ] {
        let policy = ["--tokens", "tokens.json", "--policy", "uniform+recency", option, value];
        place.refuses(&[&on("plan")[..], &policy].concat(), &[says]);
    }
    place.refuses(
        &[&on("profile")[..], &["--export", "p.json", "--budget", "2"]].concat(),
        &["--budget 2 is"],
    );
}

/// Numbers that cannot be read are refused with the option, the value and a remedy.
#[test]
fn numbers() {
    let place = Place::new();
    for (arguments, says) in [
        (&["plan", "--budget", "50%"][..], "invalid value '50%' for '--budget <FRACTION>': write a number"),
        (
            &["plan", "--budget", "0,5"],
            "invalid value '0,5' for '--budget <FRACTION>': write a number such as 0.5",
        ),
        (&["plan", "--budget-tokens", "-5"], "'--budget-tokens <TOKENS>': write a whole number of 0 or more"),
        (&["plan", "--budget-bytes", "-5"], "'--budget-bytes <BYTES>': '-5' is not a number of bytes"),
        (&["generate", "--seed", "abc"], "'abc' for '--seed <SEED>': write a whole number such as 512"),
        (
            &["generate", "--max-tokens", "-5"],
            "'-5' for '--max-tokens <MAX_TOKENS>': write a whole number of 0",
        ),
        (&["verify", "--recalls", "-1"], "'-1' for '--recalls <RECALLS>': write a whole number of 0 or more"),
        (&["verify", "--seed", "-4"], "'-4' for '--seed <SEED>': write a whole number of 0 or more"),
        (&["verify", "--seed", "99999999999999999999"], "'--seed <SEED>': write a smaller whole number"),
        (
            &["memory", "--context", "512,,1024"],
            "'--context <CONTEXT>': write a number before and after each comma",
        ),
        (&["bench", "--threads", "two"], "'two' for '--threads <THREADS>': write a whole number such as 512"),
    ] {
        let output = place.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            output.stdout.is_empty() && said.starts_with("error: ") && said.contains(says),
            "{says}: {said}"
        );
    }
}

#[test]
fn contexts_of_a_memory_table() {
    let place = Place::new();
    for context in ["0", "18446744073709551615"] {
        let arguments = ["memory", "--model", "BitNet-b1.58-2B-4T", "--context", context];
        place.refuses(&arguments, &[&format!("a context of {context} tokens"), "use 1 to"]);
    }
    let arguments = ["memory", "--model", MODEL, "--accounting", "honest"];
    place.refuses(&arguments, &["--accounting honest is not known: use published or actual"]);
}

/// Usage errors come from clap: several lines, exit code 2, and nothing on standard output.
#[test]
fn unknown_arguments() {
    let place = Place::new();
    for arguments in [vec!["nonsense"], vec!["list", "nonsense"], [&on("plan")[..], &["--nonsense"]].concat()]
    {
        let output = place.run(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            output.stdout.is_empty() && said.starts_with("error: ") && said.contains("nonsense"),
            "{said}"
        );
    }
}
