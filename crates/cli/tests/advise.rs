//! `bitkv advise`: the choice follows from the rows of `results/advise`, and bad limits are refused.

mod support;

use std::path::Path;

use bitkv_record::{GridRow, PlanExport, read_rows};
use serde_json::Value;
use support::{
    Place, count,
    grid::{RUN, definition, numbers},
    list,
    model::{BUILT_IN, MODEL},
    number,
};

/// The tokens in the cache of the rows that are compiled in.
const CONTEXT: &str = "640";

/// Returns the command for a built-in model at the context of its rows.
fn on_built_in<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["advise", "--model", BUILT_IN, "--context", CONTEXT], more].concat()
}

/// Returns the committed rows of the built-in model on texts.
fn committed() -> Vec<GridRow> {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/advise/rows.csv");
    let mut rows: Vec<GridRow> = read_rows(&run).unwrap();
    rows.retain(|row| row.model == BUILT_IN);
    rows
}

/// Returns the values of rows of a part of the experiments, of one cell.
fn kls(rows: &[GridRow], part: &str, choice: &Value) -> Vec<f64> {
    let own = rows.iter().filter(|row| {
        row.experiment.starts_with(part)
            && row.policy_name() == choice["policy"]
            && row.budget.to_string() == format!("{:?}", number(&choice["budget"]))
            && choice["kv"] == row.axes.kv.to_string()
    });
    own.filter_map(|row| row.kl_nats).collect()
}

/// Runs a command and returns what it prints, with one space between words.
fn shown(place: &Place, arguments: &[&str]) -> String {
    place.text(arguments).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[track_caller]
fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-4 * b.abs(), "{a} {b}");
}

#[test]
fn the_choice_for_a_memory_is_the_lowest_kl_of_the_rows() {
    let place = Place::new();
    let answer = place.json(&on_built_in(&["--memory", "92KiB"]));
    assert_eq!((&answer["fits"], &answer["rows"]["of_this_model"]), (&false.into(), &true.into()));
    // The rows have the bytes of their caches, at the same number of tokens.
    let rows = committed();
    let small = rows.iter().filter(|row| {
        row.cache_bytes.is_some_and(|bytes| bytes <= 92 << 10) && row.experiment.starts_with("calibration")
    });
    let mut best: Option<(f64, &GridRow)> = None;
    for row in small.filter(|row| row.kl_nats.is_some()) {
        let cell = serde_json::json!({
            "policy": row.policy_name(),
            "budget": row.budget.to_string().parse::<f64>().unwrap(),
            "kv": row.axes.kv.to_string(),
        });
        let kl = mean(&kls(&rows, "calibration", &cell));
        if best.is_none_or(|(lowest, _)| kl < lowest) {
            best = Some((kl, row));
        }
    }
    let (kl, row) = best.unwrap();
    let choice = &answer["choice"];
    assert_eq!(choice["policy"], row.policy_name());
    assert_eq!(choice["kv"], row.axes.kv.to_string());
    assert_eq!(count(&answer["bytes"]["cache"]) as u64, row.cache_bytes.unwrap());
    assert_eq!(count(&answer["bytes"]["full_cache"]) as u64, row.full_bytes.unwrap());
    assert_close(number(&answer["expected"]["kl_nats"]), kl);

    let evaluation = kls(&rows, "evaluation", choice);
    let certified = &answer["certified"];
    assert_eq!((evaluation.len(), count(&certified["texts"])), (22, 22));
    assert_close(number(&certified["kl_nats"]), mean(&evaluation));
    // With 22 texts, a bound at 95 % is the maximum.
    assert_close(number(&certified["kl_bound"]), evaluation.iter().copied().fold(0.0, f64::max));
    assert_close(number(&certified["attainable_level"]), 22.0 / 23.0);
    assert_eq!(list(&answer["runners_up"]).len(), 3);

    let shown = shown(&place, &on_built_in(&["--memory", "92KiB"]));
    let start = format!("Keep 25 % of the cache with {} in {}:", row.policy_name(), row.axes.kv);
    assert!(shown.starts_with(&start), "{shown}");
    assert!(shown.contains("If your texts are like these") && !shown.contains("What is missing"), "{shown}");
}

#[test]
fn the_bytes_are_those_of_the_command_memory() {
    let place = Place::new();
    let answer = place.json(&on_built_in(&["--memory", "92KiB"]));
    let memory = |more: &[&str]| {
        let row = place.json(&[&["memory", "--model", BUILT_IN, "--context", CONTEXT], more].concat());
        let row = row["rows"][0].clone();
        ["weight_bytes", "kv_bytes", "activation_bytes", "total_bytes"].map(|key| count(&row[key]))
    };
    let bytes = |key: &str| count(&answer["bytes"][key]);
    let full = memory(&[]);
    assert_eq!(full[..3], ["weights", "full_cache", "activations"].map(bytes));
    assert_eq!(full[3] + bytes("repetition"), bytes("peak"));
    assert_eq!(bytes("embedding") + bytes("ternary_linear_layers") + bytes("norms"), full[0]);
    let budget = answer["choice"]["budget"].to_string();
    let kept = memory(&["--kv", answer["choice"]["kv"].as_str().unwrap(), "--budget", &budget]);
    assert_eq!(kept, ["weights", "cache", "activations", "total"].map(bytes));
}

#[test]
fn a_cache_that_fits_is_kept_as_it_is() {
    let place = Place::new();
    let full = serde_json::json!({"policy": "full", "budget": 1.0, "kv": "f16"});
    for limit in [&["--memory", "1GiB"][..], &["--total-memory", "1GiB"], &[]] {
        let answer = place.json(&on_built_in(limit));
        assert_eq!((&answer["fits"], &answer["choice"]), (&true.into(), &full), "{limit:?}");
        assert_eq!(number(&answer["expected"]["kl_nats"]), 0.0);
    }
    assert!(shown(&place, &on_built_in(&["--memory", "1GiB"])).starts_with("The full cache fits as it is:"));
    // Without a limit, the front says what smaller caches cost.
    let front = place.json(&on_built_in(&[]))["front"].clone();
    let sizes: Vec<usize> = list(&front).iter().map(|cell| count(&cell["cache_bytes"])).collect();
    assert!(sizes.len() >= 5 && sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
    assert!(sizes[0] > 8 * sizes[sizes.len() - 1], "{sizes:?}");
}

#[test]
fn limits_on_quality_give_the_smallest_cache() {
    let place = Place::new();
    let rows = committed();
    let answer = place.json(&on_built_in(&["--max-kl", "0.005"]));
    assert_eq!(answer["fits"], true);
    assert!(mean(&kls(&rows, "calibration", &answer["choice"])) <= 0.005);
    assert_eq!(answer["certified"]["meets_limits"], true);
    let strict = place.json(&on_built_in(&["--max-kl", "0.005", "--max-loss", "recall=5%"]));
    assert!(count(&strict["bytes"]["cache"]) > count(&answer["bytes"]["cache"]));
    assert!(number(&strict["expected"]["tasks"]["recall"]["loss"]) <= 0.05);
    assert_eq!(strict["limits"]["max_loss"]["recall"], 0.05);
    let shown = shown(&place, &on_built_in(&["--max-loss", "recall=5%"]));
    assert!(shown.contains("attainable at 75.0 % at most, with 3 such contexts"), "{shown}");
}

#[test]
fn limits_that_cannot_be_met_have_no_choice() {
    let place = Place::new();
    for (limit, says) in [
        (&["--memory", "1KiB"][..], "No measured cache meets the limit: the smallest, "),
        (&["--total-memory", "1KiB"], "The limit cannot be met: the weights and activations of"),
        (&["--memory", "92KiB", "--max-kl", "0.0001"], "No measured cache that fits meets --max-kl 0.0001"),
        (
            &["--memory", "92KiB", "--max-loss", "recall=1%"],
            "No measured cache that fits meets --max-loss recall=1 %",
        ),
    ] {
        let answer = place.json(&on_built_in(limit));
        let none = [&answer["choice"], &answer["expected"], &answer["certified"], &answer["bytes"]["cache"]];
        assert_eq!((none, &answer["fits"]), ([&Value::Null; 4], &false.into()), "{limit:?}");
        let sentence = answer["answer"].as_str().unwrap();
        assert!(sentence.starts_with(says), "{sentence}");
    }
    let half = place.json(&on_built_in(&["--total-memory", "2200KiB"]));
    assert_eq!((&half["fits"], &half["peak_fits"]), (&false.into(), &false.into()));
    assert!(!half["choice"].is_null(), "{half}");
    assert!(half["answer"].as_str().unwrap().starts_with("The peak does not fit:"), "{half}");
}

#[test]
fn another_model_gets_the_rows_of_the_nearest_one() {
    let place = Place::new();
    for (model, nearest, argument) in [
        ("microsoft/bitnet-b1.58-2B-4T", "tiny-gqa", "microsoft/bitnet-b1.58-2B-4T"),
        ("bitnet_b1_58-large", "tiny-mha", "1bitLLM/bitnet_b1_58-large"),
        (MODEL, "tiny-gqa", MODEL),
    ] {
        let asked = ["advise", "--model", model, "--context", "512", "--max-loss", "recall=10%"];
        let answer = place.json(&asked);
        assert_eq!(answer["rows"]["model"], nearest, "{model}");
        assert_eq!(answer["rows"]["of_this_model"], false);
        let missing = &list(&answer["missing"])[0];
        assert!(missing["what"].as_str().unwrap().ends_with("was not measured."), "{missing}");
        let command = missing["command"].as_str().unwrap();
        assert!(command.starts_with(&format!("bitkv sweep --model {argument} ")), "{command}");
        let again =
            format!("bitkv advise --model {argument} --context 512 --max-loss recall=0.1 --from runs/advise");
        assert!(command.ends_with(&again), "{command}");
        // Rows of another model are not a bound for this one.
        assert_eq!(answer["certified"], Value::Null);
        let times = ["plan_seconds", "decode_seconds_per_token"].map(|key| &answer["expected"][key]);
        assert_eq!(times, [&Value::Null; 2]);
        let sentence = answer["answer"].as_str().unwrap();
        assert!(
            sentence.contains("There are no rows of") && sentence.contains("at 640 tokens"),
            "{sentence}"
        );
        let shown = shown(&place, &asked);
        assert!(shown.contains("There are no rows of") && !shown.contains("planning ms"), "{shown}");
        assert!(shown.contains("That is not a bound for") && !shown.contains("If your texts"), "{shown}");
        assert!(shown.contains("A sweep measures caches in f16."), "{shown}");
    }
}

#[test]
fn tasks_that_the_rows_lack_are_not_measured() {
    let place = Place::new();
    let answer = place.json(&on_built_in(&["--max-loss", "copy=5%"]));
    assert_eq!(answer["choice"], Value::Null);
    assert!(answer["answer"].as_str().unwrap().starts_with("Not measured:"), "{answer}");
    let command = list(&answer["missing"])[0]["command"].as_str().unwrap();
    assert!(command.contains("--tasks copy"), "{command}");
}

#[test]
fn own_runs_replace_the_measurements() {
    let place = Place::with_texts();
    place.write("texts/third.txt", numbers(3000, 400));
    // The windows of the guard and of the scorer would leave these two policies nothing to choose.
    let change = [("\"uniform+recency\", \"uniform+window-attention\"", "\"tova\", \"uniform+key-norm\"")];
    place.write("small.toml", definition(&change));
    place.text(&["run", "small.toml", "--out", RUN]);
    let rows = support::grid::rows(&place.path(RUN));
    let asked = ["advise", "--model", MODEL, "--context", "64", "--max-kl", "1000", "--from", RUN];
    let answer = place.json(&asked);
    assert_eq!((&answer["rows"]["of_this_model"], &answer["rows"]["context"]), (&true.into(), &64.into()));
    // Without calibration texts the first and the third text choose. Controls and oracles are left out.
    let choosing = |policy: &str, budget: &str| {
        let own = rows.iter().filter(|row| row.policy_name() == policy && row.budget.to_string() == budget);
        mean(&own.filter(|row| row.text != "later").map(|row| row.kl_nats.unwrap()).collect::<Vec<_>>())
    };
    let [tova, norm] = ["tova", "uniform+key-norm"].map(|name| choosing(name, "0.25"));
    assert_ne!(tova, norm);
    let best = if tova < norm { "tova" } else { "uniform+key-norm" };
    assert_eq!((&answer["choice"]["policy"], &answer["choice"]["budget"]), (&best.into(), &0.25.into()));
    assert_close(number(&answer["expected"]["kl_nats"]), tova.min(norm));
    assert_eq!((&answer["certified"]["texts"], &answer["certified"]["kl_bound"]), (&1.into(), &Value::Null));
    let shown = shown(&place, &asked);
    assert!(shown.contains("A bound at 95 % is not attainable: it needs 19 texts"), "{shown}");

    let other = ["advise", "--model", BUILT_IN, "--context", "64", "--max-kl", "1000", "--from", RUN];
    let sentence = format!("--from has no rows of {BUILT_IN}: the quality is that of {MODEL}.");
    assert!(self::shown(&place, &other).contains(&sentence));
}

#[test]
fn exported_budgets_are_those_of_the_plan() {
    let place = Place::new();
    place.write("text.txt", numbers(1000, 2000));
    let memory = ["--memory", "92KiB", "--export", "advised.json"];
    let answer = place.json(&on_built_in(&memory));
    let read = |file: &str| PlanExport::read(&place.path(file)).unwrap();
    let advised = read("advised.json");
    let [policy, budget] = ["policy", "budget"].map(|key| answer["choice"][key].clone());
    let plan = [
        &["plan", "--model", BUILT_IN, "--text", "text.txt", "--first", CONTEXT, "--export", "planned.json"]
            [..],
        &["--policy", policy.as_str().unwrap(), "--budget", &budget.to_string()],
    ];
    place.text(&plan.concat());
    let planned = read("planned.json");
    let budgets = |plan: &PlanExport| plan.heads.iter().map(|head| head.budget).collect::<Vec<_>>();
    assert_eq!(budgets(&advised), budgets(&planned));
    assert_eq!(PlanExport { heads: planned.heads.clone(), ..advised }, planned);

    place.json(&on_built_in(&["--memory", "1GiB", "--export", "full.json"]));
    assert!(budgets(&read("full.json")).iter().all(|kept| *kept == 640));
    let memory = ["--memory", "1KiB", "--export", "none.json"];
    place.refuses(&on_built_in(&memory), &["--export none.json has nothing to write"]);
}

/// A policy that divides its budget by what it observes needs a text.
#[test]
fn budgets_that_depend_on_the_text_need_one() {
    let place = Place::with_texts();
    let more = [("\"uniform+recency\", \"uniform+window-attention\"", "\"adaptive+window-attention\"")];
    place.write("small.toml", definition(&more));
    place.text(&["run", "small.toml", "--out", RUN]);
    let asked = ["advise", "--model", MODEL, "--context", "64", "--max-kl", "1000", "--from", RUN];
    let asked = [&asked[..], &["--export", "advised.json"]].concat();
    place.refuses(&asked, &["--export needs --text FILE", "adaptive+window-attention"]);
    place.write("short.txt", "1 2 3");
    place.refuses(&[&asked[..], &["--text", "short.txt"]].concat(), &["short.txt has", "--context 64"]);
    place.text(&[&asked[..], &["--text", "texts/later.txt"]].concat());
    let advised = PlanExport::read(&place.path("advised.json")).unwrap();
    let plan = [
        &["plan", "--model", MODEL, "--text", "texts/later.txt", "--first", "64", "--export", "planned.json"]
            [..],
        &["--policy", "adaptive+window-attention", "--budget", "0.25"],
    ];
    place.text(&plan.concat());
    let mut planned = PlanExport::read(&place.path("planned.json")).unwrap();
    planned.heads.iter_mut().for_each(|head| head.kept.clear());
    assert_eq!(advised, planned);
}

#[test]
fn bad_limits_are_refused_in_one_sentence() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 13] = [
        (&["--memory", "0"], &["--memory 0", "such as 64MiB"]),
        (&["--total-memory", "0KiB"], &["--total-memory 0"]),
        (&["--max-kl", "0"], &["--max-kl 0", "above 0"]),
        (&["--max-kl", "-0.5"], &["--max-kl -0.5", "such as 0.01"]),
        (&["--max-kl", "NaN"], &["--max-kl NaN"]),
        (&["--max-kl", "inf"], &["--max-kl inf"]),
        (&["--max-loss", "recall"], &["--max-loss recall", "recall=5%"]),
        (&["--max-loss", "recall=0%"], &["--max-loss recall=0%", "above 0"]),
        (&["--max-loss", "recall=200%"], &["--max-loss recall=200%", "below 100 %"]),
        (&["--max-loss", "recal=5%"], &["--max-loss recal=5%", "recall"]),
        (&["--max-loss", "text=5%"], &["--max-loss text=5%", "--max-kl"]),
        (&["--max-loss", "recall=5%", "--max-loss", "recall=6%"], &["--max-loss limits recall twice"]),
        (&["--from", "runs/none"], &["runs/none"]),
    ];
    for (options, says) in cases {
        place.refuses(&on_built_in(options), says);
    }
    let longest = ["advise", "--model", BUILT_IN, "--context", "99999999999"];
    place.refuses(&longest, &["--context 99999999999", "use 1 to 67108864"]);
    place.refuses(&["advise", "--model", BUILT_IN, "--context", "0"], &["--context 0", "such as 2048"]);
    place.refuses(
        &["advise", "--model", "tiny", "--context", "64"],
        &["tiny", "whose configurations are known"],
    );
    place.refuses(
        &on_built_in(&["--export", "no/advised.json"]),
        &["--export no/advised.json", "there is no folder"],
    );
}

/// Advice leaves out a policy that repeats the context exactly if the policy cannot run.
#[test]
fn a_policy_without_room_to_repeat_the_context_is_left_out() {
    let place = Place::new();
    place.write("text.txt", numbers(1000, 2000));
    let advise = |context: usize| {
        let context = context.to_string();
        place.json(&["advise", "--model", BUILT_IN, "--context", &context, "--max-loss", "recall=5%"])
    };
    let is_left_out = |context: usize| !list(&advise(context)["left_out"]).is_empty();
    let (mut runs, mut fails) = (896, 1024);
    assert!(!is_left_out(runs) && is_left_out(fails));
    while fails - runs > 1 {
        let middle = (runs + fails) / 2;
        if is_left_out(middle) { fails = middle } else { runs = middle }
    }
    let [runs, fails] = [runs, fails].map(|context| context.to_string());
    let plan = |context| {
        let text = ["plan", "--model", BUILT_IN, "--text", "text.txt", "--first", context];
        [&text[..], &["--policy", "uniform+kvzip", "--budget", "0.5", "--quiet"]].concat()
    };
    place.text(&plan(&runs));
    place.refuses(&plan(&fails), &["kvzip repeats the context"]);

    let answer = advise(1024);
    assert_ne!(answer["choice"]["policy"], "uniform+kvzip");
    let sentence = answer["answer"].as_str().unwrap();
    assert!(
        sentence.contains("uniform+kvzip is left out") && sentence.contains("1024 positions"),
        "{sentence}"
    );
    let shorter = advise(640);
    assert_eq!(shorter["choice"]["policy"], "uniform+kvzip");
    assert!(count(&shorter["bytes"]["repetition"]) > 0, "{shorter}");
}

#[test]
fn the_commands_that_measure_repeat_the_limits_and_write_a_new_folder() {
    let place = Place::new();
    place.write("runs/advise/manifest.json", "{}");
    let limits = ["--memory", "92KiB", "--total-memory", "2.5MB", "--max-kl", "0.5"];
    let asked = [&["advise", "--model", BUILT_IN, "--context", "512"][..], &limits].concat();
    let answer = place.json(&asked);
    assert_eq!(answer["limits"]["total_memory"], 2_500_000);
    let command = list(&answer["missing"])[0]["command"].as_str().unwrap();
    let again = "--context 512 --memory 92KiB --total-memory 2500000B --max-kl 0.5 --from runs/advise-2";
    assert!(command.contains(" --out runs/advise-2 && ") && command.ends_with(again), "{command}");
    let other_form = place.json(&["advise", "--model", BUILT_IN, "--context", "640", "--as", "plain-llama"]);
    let command = list(&other_form["missing"])[0]["command"].as_str().unwrap();
    assert_eq!(command.matches(&format!("--model {BUILT_IN} --as plain-llama")).count(), 2, "{command}");
}

/// Texts of two runs are different even if their names are equal.
#[test]
fn several_runs_count_every_text_once() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    place.text(&["run", "small.toml", "--out", RUN]);
    place.write("texts/counting.txt", numbers(2000, 400));
    place.write("texts/later.txt", numbers(4000, 400));
    place.text(&["run", "small.toml", "--out", "runs/second"]);
    let asked = ["advise", "--model", MODEL, "--context", "64", "--max-kl", "1000", "--from"];
    let answer = |runs: &[&str]| place.json(&[&asked[..], runs].concat());
    let texts = |answer: &Value| ["expected", "certified"].map(|key| count(&answer[key]["texts"]));
    let both = answer(&[RUN, "runs/second"]);
    assert_eq!((texts(&answer(&[RUN])), texts(&both)), ([1, 1], [2, 2]));
    assert_eq!(both, answer(&["runs/second", RUN]));
    assert_eq!(answer(&[RUN, RUN]), answer(&[RUN]));
    let shown = shown(&place, &[&asked[..], &[RUN]].concat());
    assert!(shown.contains("needs 19 texts that certify, not 1. A sweep needs 38 texts"), "{shown}");
}
